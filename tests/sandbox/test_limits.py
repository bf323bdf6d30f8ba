"""What a hostile sandbox uses up, tried on this host; what the kernel does not hold it to is counted by its name.

A limit that this host cannot enforce is found by trying, and must be one that the doctor names; where it is enforced,
the doctor must not say otherwise.
"""

from __future__ import annotations

import platform
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mcp_ashigaru.host_limits import unenforceable
from runner.adapters.system_clock import SystemClock
from runner.disk import Disk, DiskLimits
from runner.sandbox_run import Ran, SandboxRunner
from runner.sandboxes import RunState, SandboxSpec
from runner.seal.assertions import Result
from runner.seal.bounds import TRIALS, judged
from runner.seal.looking import try_bound
from tests.sandbox.podman_lab import PodmanLab
from tests.sandbox.scenes import OWNER, eventually, gate

pytestmark = pytest.mark.podman

MIB = 1024 * 1024
TIMEOUT_S = 60.0
LIMITS = DiskLimits(floor=0)


def named_by_the_doctor(lab: PodmanLab) -> tuple[str, ...]:
    """The limits of which the doctor says that this host does not enforce them."""
    return unenforceable(lab.info(), platform.release())


def runs(lab: PodmanLab, spec: SandboxSpec, disk: DiskLimits = LIMITS, timeout_s: float = TIMEOUT_S) -> Ran:
    clock = SystemClock()
    runner = SandboxRunner(
        containers=lab.containers,
        clock=clock,
        stopping=threading.Event(),
        disk=Disk(state_dir=lab.home, clock=clock, limits=disk),
    )
    return runner.to_end(spec, since=runner.moment(), timeout_s=timeout_s, cancelled=lambda: False)


@pytest.mark.parametrize("name", TRIALS)
def test_a_sandbox_is_held_to_its_bounds_where_the_doctor_says_so(
    podman_host: PodmanLab, name: str, record_property: Callable[..., None]
) -> None:
    came = try_bound(podman_host.ground(OWNER), name)
    by = TRIALS[name].by
    checked = judged(name, came, named_by_the_doctor(podman_host))
    if checked.result is Result.ABSENT:
        record_property("unenforceable_here", by)
    assert checked.result is not Result.BROKEN, checked
    # What was tried and what the doctor says are the same.
    assert (checked.result is Result.HOLDS) is (by not in named_by_the_doctor(podman_host)), checked


FILLS = "while :; do dd if=/dev/zero of=/workspace/f$i bs=1M count=1 2>/dev/null; i=$((i + 1)); done"
LITTERS = "while :; do mkdir -p $d/$i && touch $d/$i/f; i=$((i + 1)); done"


@pytest.mark.parametrize(
    ("script", "limits", "says"),
    [
        (f"i=0; {FILLS}", DiskLimits(written=8 * MIB, floor=0), "wrote more than 8 MiB"),
        (f"i=0; {FILLS.replace('workspace', 'ashigaru/out')}", DiskLimits(written=8 * MIB, floor=0), "wrote more"),
        (f"i=0; d=/workspace; {LITTERS}", DiskLimits(entries=200, floor=0), "made more than 200 files"),
        (f"i=0; trap '' TERM; {FILLS}", DiskLimits(written=8 * MIB, floor=0), "wrote more than 8 MiB"),
    ],
    ids=["tree", "output", "inodes", "deaf"],
)
def test_a_sandbox_that_fills_the_disk_is_killed(
    podman_host: PodmanLab, script: str, limits: DiskLimits, says: str
) -> None:
    spec = gate(podman_host, script)
    ran = runs(podman_host, spec, limits)
    assert ran.overran is not None
    assert says in ran.overran
    assert (ran.status.state, ran.status.exit_code) == (RunState.EXITED, 137)
    podman_host.containers.remove(spec.name)


SURVIVES = """
trap '' TERM HUP INT
for i in 1 2 3; do
  setsid sh -c "trap '' TERM HUP INT; exec 0<&- 1>&- 2>&-; while :; do sleep 1; : {mark}; done" &
done
echo up
while :; do sleep 1; : {mark}; done
"""


def test_what_ignores_every_signal_and_detaches_is_dead_with_its_sandbox(podman_host: PodmanLab) -> None:
    mark = f"survivor-{podman_host.home.name}"
    spec = gate(podman_host, SURVIVES.replace("{mark}", mark))
    podman_host.containers.start(spec)
    eventually(lambda: len(marked(mark)) >= 4)
    podman_host.containers.stop(spec.name, 0.5)
    assert podman_host.containers.status(spec.name).state is RunState.EXITED
    eventually(lambda: marked(mark) == [])
    podman_host.containers.remove(spec.name)


def marked(mark: str) -> list[str]:
    """The host's processes whose command line holds `mark`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
        if mark in text and text.startswith(("sh\0", "/bin/sh\0")):
            found.append(text)
    return found
