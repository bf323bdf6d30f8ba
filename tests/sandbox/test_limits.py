"""What a hostile sandbox uses up, tried on this host; what the kernel does not hold it to is counted by its name.

A limit that this host cannot enforce is found by trying, and must be one that the doctor names; where it is enforced,
the doctor must not say otherwise.
"""

from __future__ import annotations

import platform
import shlex
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from podman import PodmanClient

from mcp_ashigaru.host_limits import unenforceable
from runner.adapters.system_clock import SystemClock
from runner.disk import Disk, DiskLimits
from runner.sandbox import Limits
from runner.sandbox_run import Ran, SandboxRunner
from runner.sandboxes import RunState, SandboxSpec
from tests.sandbox.podman_lab import PodmanLab
from tests.sandbox.scenes import eventually, gate

pytestmark = pytest.mark.podman

MIB = 1024 * 1024
TIMEOUT_S = 60.0
LIMITS = DiskLimits(floor=0)


def named_by_the_doctor(lab: PodmanLab) -> tuple[str, ...]:
    """The limits of which the doctor says that this host does not enforce them."""
    with PodmanClient(base_url=lab.url, timeout=30) as client:
        return unenforceable(client.system.info(), platform.release())


def runs(lab: PodmanLab, spec: SandboxSpec, disk: DiskLimits = LIMITS, timeout_s: float = TIMEOUT_S) -> Ran:
    clock = SystemClock()
    runner = SandboxRunner(
        containers=lab.containers,
        clock=clock,
        stopping=threading.Event(),
        disk=Disk(state_dir=lab.home, clock=clock, limits=disk),
    )
    return runner.to_end(spec, since=runner.moment(), timeout_s=timeout_s, cancelled=lambda: False)


def said(lab: PodmanLab, script: str, limits: Limits) -> tuple[Ran, str]:
    spec = gate(lab, f"exec python3 -I -c {shlex.quote(script)}", limits=limits)
    ran = runs(lab, spec)
    printed = lab.containers.output(spec.name, 10_000).decode("utf-8", "replace")
    lab.containers.remove(spec.name)
    return ran, printed


FORKS = """
import os, signal, time
alive = []
try:
    while len(alive) < 400:
        pid = os.fork()
        if pid == 0:
            time.sleep(60)
            os._exit(0)
        alive.append(pid)
except OSError as fault:
    print("refused", fault.errno, len(alive))
else:
    print("forked", len(alive))
for pid in alive:
    os.kill(pid, signal.SIGKILL)
"""
THREADS = """
import threading, time
count = 0
try:
    for _ in range(400):
        threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
        count += 1
except RuntimeError:
    print("refused", count, flush=True)
else:
    print("forked", count, flush=True)
import os; os._exit(0)
"""


@pytest.mark.parametrize("script", [FORKS, THREADS], ids=["processes", "threads"])
def test_a_fork_bomb_ends_at_the_limit(
    podman_host: PodmanLab, script: str, record_property: Callable[..., None]
) -> None:
    _, printed = said(podman_host, script, Limits(pids=100))
    held = "refused" in printed and int(printed.split()[-1]) < 100
    judged(podman_host, "pids", held=held, record=record_property, seen=printed)


def test_a_sandbox_that_wants_more_memory_than_it_may_is_killed(
    podman_host: PodmanLab, record_property: Callable[..., None]
) -> None:
    script = "x = bytearray(b'x') * (300 * 1024 * 1024); print('held', len(x))"
    ran, printed = said(podman_host, script, Limits(memory=64 * MIB))
    held = "held" not in printed and (ran.status.oom or ran.status.exit_code == 137)
    judged(podman_host, "memory", held=held, record=record_property, seen=f"{ran} {printed}")


CPU = """
import glob
told = [open(path).read().split() for path in
    ("/sys/fs/cgroup/cpu.max", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us")
    if glob.glob(path)]
print("quota", [one[0] for one in told])
"""


def test_a_sandbox_is_held_to_its_share_of_the_processors(
    podman_host: PodmanLab, record_property: Callable[..., None]
) -> None:
    _, printed = said(podman_host, CPU, Limits(cpus=0.5))
    judged(podman_host, "cpu", held="50000" in printed, record=record_property, seen=printed)


def judged(lab: PodmanLab, name: str, *, held: bool, record: Callable[..., None], seen: str) -> None:
    """What was tried and what the doctor says are the same; what is not held is on record as `unenforceable_here`."""
    if not held:
        record("unenforceable_here", name)
    assert held is (name not in named_by_the_doctor(lab)), seen


OPEN_FILES = """
import os
try:
    while True:
        os.open("/dev/null", 0)
except OSError as fault:
    print(fault.errno)
"""
TERABYTE = """
import os, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    os.truncate(os.open("/workspace/x", os.O_CREAT | os.O_RDWR), 2**40)
except OSError as fault:
    print(fault.errno)
"""
SCRATCH = """
try:
    open("{place}", "wb").write(bytes({size} * 1024 * 1024))
except OSError as fault:
    print(fault.errno)
"""
CORE = """
import resource
try:
    resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
except ValueError:
    print(resource.getrlimit(resource.RLIMIT_CORE))
"""
REFUSED = {
    "open files": (OPEN_FILES, "24"),
    "a file of a terabyte": (TERABYTE, "27"),
    "scratch memory": (SCRATCH.format(place="/tmp/x", size=20), "28"),  # noqa: S108 - inside
    "shared memory": (SCRATCH.format(place="/dev/shm/x", size=80), "28"),  # noqa: S108 - inside
    "core dumps": (CORE, "(0, 0)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_kernel_refuses_more_than_there_is_to_be(podman_host: PodmanLab, name: str) -> None:
    script, says = REFUSED[name]
    ran, printed = said(podman_host, script, Limits(file=100 * MIB, scratch=8 * MIB))
    assert printed.strip() == says, ran


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
