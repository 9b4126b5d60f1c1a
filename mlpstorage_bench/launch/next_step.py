"""Advice on ranks that did not start, from the launch alone."""

from __future__ import annotations

import os

from mlpstorage_bench.launch.command import LaunchPlan, is_this_host

ROOT_FLAG = "--allow-run-as-root"


def next_step(plan: LaunchPlan, status: int | None, *, is_checked: bool = False) -> str:
    """Return what to do where a launcher has started no rank; `is_checked` by the doctor itself.

    `status` is the launcher's; None if it had to be ended.
    """
    steps = []
    is_refused = plan.launcher.startswith("Open MPI") and ROOT_FLAG not in plan.prefix
    if status and is_refused and os.geteuid() == 0:
        return "Open MPI starts no ranks as root unless told: add --mlps-allow-run-as-root"
    if not plan.all_hosts_are_here and not plan.may_queue:
        other = next(host.name for host in plan.layout.hosts if not is_this_host(host.name))
        steps.append(
            f"Check that each host can be reached without a password (ssh {other} true), and that "
            "it has this Python environment at the same path"
        )
    if not is_checked:
        steps.append(
            "The launcher's own message has the cause; pytest --mlps-doctor with the same options "
            "checks launcher, library and hosts"
        )
    return ". ".join(steps)
