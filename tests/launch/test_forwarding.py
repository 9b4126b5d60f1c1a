"""Output of a launch reaches who reads it, however late that is."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

PARENT = """
import os, sys, tempfile, threading
from pathlib import Path
from mlpstorage_bench.launch import forwarding
from mlpstorage_bench.launch.status_channel import StatusReader

forwarding._LATE_S = 0.2
stdout, out = os.pipe()
stderr, err = os.pipe()
reader = StatusReader(Path(tempfile.mkdtemp(dir=sys.argv[1])), "mlps-x")
held = sys.argv[2] == "held"

def launcher():
    os.write(out, b"x" * 300_000)
    os.write(err, b"a warning")
    os.close(err)
    if not held:
        os.close(out)

launch = threading.Thread(target=launcher)
with forwarding.forward_output(stdout, stderr, reader, lambda name: None):
    launch.start()
    if held:
        launch.join()
sys.exit(0)
"""


@pytest.mark.starts_process
@pytest.mark.parametrize("pipe", ["closed", "held"])
def test_all_output_reaches_a_reader_that_is_late(tmp_path: Path, pipe: str) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path), pipe]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as parent:
        time.sleep(1)  # five times what output may take that nobody keeps waiting
        shown, errors = parent.communicate(timeout=60)
    assert (parent.returncode, len(shown), errors) == (0, 300_000, b"a warning")
