"""Cancel on real podman: a gate that heeds no SIGTERM is gone all the same, and the work is on the branch."""

from __future__ import annotations

import time

import pytest

from tests.sandbox.podman_lab import PodmanLab
from tests.sandbox.real_daemon import RealDaemon
from tests.sandbox.scenes import eventually
from tests.sandbox.test_adoption import HELD, QUICK, appeared, daemons, started
from tests.story.house import git

__all__ = ["daemons"]

pytestmark = [pytest.mark.podman, pytest.mark.timeout(120)]


def test_a_gate_that_heeds_nothing_is_killed_and_removed_and_its_tree_is_kept(
    podman_host: PodmanLab,
    daemons: list[RealDaemon],
) -> None:
    daemon = started(podman_host, f"trap '' TERM; {HELD}", QUICK)
    daemons.append(daemon)
    run_id = str(daemon.call("work_ticket", repo="widgets", issue=1, brief="Make it one.")["run_id"])
    appeared(daemon.state / "runs" / run_id)
    begun = time.monotonic()
    daemon.call("cancel", run_id=run_id)
    eventually(lambda: podman_host.containers.listing(run_id) == ())
    print(f"cancel to no container: {time.monotonic() - begun:.2f} s")  # noqa: T201 - a figure, not a bound
    eventually(lambda: daemon.call("status", run_id=run_id)["phase"] == "cancelled")
    (branch,) = git(
        daemon.state / "forge" / "widgets.git", "for-each-ref", "--format=%(refname)", "refs/heads/ashigaru"
    ).split()
    assert git(daemon.state / "forge" / "widgets.git", "show", f"{branch}:total.py") == "total = 1"
