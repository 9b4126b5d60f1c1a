"""Sessions in a control group with little memory, and where the kernel's figures are empty."""

from __future__ import annotations

import sys

import pytest

from tests.conftest import MemoryGroup
from tests.session.tiny import TINY
from tests.variants import first_of

pytestmark = pytest.mark.slow


def in_group(group: MemoryGroup, *arguments: str) -> list[str]:
    """Return the command of a pytest in a control group."""
    enter = f'echo $$ > {group.path}/cgroup.procs && exec "$@"'
    return ["/bin/sh", "-c", enter, "sh", sys.executable, "-m", "pytest", *arguments]


@pytest.mark.long
def test_memory_limit_of_the_control_group_is_heeded(
    pytester: pytest.Pytester, memory_group: MemoryGroup
) -> None:
    printed = pytester.run(*in_group(memory_group, "--mlps-datasize", *TINY))
    assert printed.ret == pytest.ExitCode.TESTS_FAILED
    limit = rf"processes may use 0\.25 of .* GiB of memory \(.*{memory_group.path.name}\)"
    printed.stdout.re_match_lines(
        [r"workload 1: memory: up to 0\.\d+ GiB, but 0\.\d+ are free", f"limit: {limit}"]
    )
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    refused = pytester.run(*in_group(memory_group, *TINY, "--mlps-set=kv_cache.io_chunk_kib=16384"))
    assert refused.ret == pytest.ExitCode.TESTS_FAILED
    refused.stdout.re_match_lines(
        [f"mlpstorage: note: .*: {limit}", r"E .*This run does not fit: memory: up to"]
    )


@pytest.mark.long
@pytest.mark.parametrize("text", first_of("", "MemTotal:\nstrange\n"), ids=["empty", "strange"])
def test_run_passes_where_memory_figures_are_empty_or_strange(
    pytester: pytest.Pytester, text: str
) -> None:
    figures = pytester.path / "meminfo"
    figures.write_text(text)
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    hidden = f'mount --bind {figures} /proc/meminfo || exit 77; exec "$@"'
    command = ["/bin/sh", "-c", hidden, "sh", sys.executable, "-m", "pytest", *TINY]
    result = pytester.run("unshare", "--mount", *command)
    if result.ret == 77 or "unshare failed" in result.stderr.str():
        pytest.skip("needs a namespace of mounts of its own")
    assert result.ret == 0
    result.assert_outcomes(passed=1)
