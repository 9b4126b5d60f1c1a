"""Opening of runs: what is refused before the first test leaves no run."""

from __future__ import annotations

import pytest

from tests.variants import first_of

CHECKPOINTS = """
def test_it(checkpointing, checkpointing_kind):
    checkpointing.run(checkpointing_kind)
"""
LARGE = (*("--mlps-set=scale=1", "--mlps-set=num_checkpoints_write=255"),)
REFUSED = {
    "nothing to read": (("--mlps-set=phase=read",), "*phase: got 'read'; accepted: *"),
    "no space": (LARGE, "*255 checkpoints need * and * are free for it*"),
}


@pytest.mark.parametrize(("given", "message"), first_of(*REFUSED.values()))
def test_refusal_by_the_engine_leaves_no_run(
    pytester: pytest.Pytester, given: tuple[str, ...], message: str
) -> None:
    pytester.makepyfile(CHECKPOINTS)
    result = pytester.runpytest_subprocess(
        *("--mlps-results-dir=results", "--mlps-cache-dir=cache", "-p", "no:cacheprovider"),
        *("--mlps-set=model=llama3-8b", "--mlps-set=scale=0.0005", *given),
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])
    assert "again:" not in result.stdout.str()
    left = [path for path in (pytester.path / "results").rglob("*") if not path.is_dir()]
    assert left == []
    assert not [path for path in pytester.path.rglob(".mlps-*") if path.is_dir()]


INTERRUPTED = """
from mlpstorage_bench.session import run_opening

place = run_opening._place

def interrupted(*given, **named):
    place(*given, **named)
    raise KeyboardInterrupt

run_opening._place = interrupted
"""
"""Interrupts the session when the place of its run has just been taken."""


@pytest.mark.long
def test_interrupt_before_the_engine_leaves_nothing(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(INTERRUPTED)
    pytester.makepyfile("def test_it(kvcache): kvcache.run('1')")
    result = pytester.runpytest_subprocess(
        *("--mlps-results-dir=results", "--mlps-cache-dir=cache", "-p", "no:cacheprovider"),
    )
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert [path.name for path in (pytester.path / "results").iterdir()] == ["open"]
