"""Group C: what a sandbox may use up, and whether it ends when told to. Real podman; each try is itself bounded."""

from __future__ import annotations

import platform
import shlex
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from podman import PodmanClient

from mcp_ashigaru.host_limits import unenforceable
from runner.adapters import podman_payloads
from runner.adapters.podman_containers import PodmanContainers
from runner.adapters.system_clock import SystemClock
from runner.disk import Disk, DiskLimits, DiskWatch
from runner.sandbox import Limits, Owner, gate_spec
from runner.sandbox_run import SandboxRunner
from runner.sandboxes import RunState, SandboxSpec, SandboxStatus
from tests.attack.case import Case, Chapter, Defence, Outcome, Stopped, Through, Unenforceable
from tests.attack.ground import Ground
from tests.attack.in_sandbox import dropped, without_arguments
from tests.attack.podman_ground import NoAnswer, undisturbed
from tests.attack.taking_out import answering, out, replaced
from tests.sandbox.podman_lab import PodmanLab

_MIB = 1024 * 1024
_END_S = 40.0
_MARK = "ashigaru-attack-survivor"

_BALLOON = "held = bytearray(200 * 1024 * 1024); held[::4096] = b'x' * len(held[::4096]); print('all of it')"
_FORKS = """
import os, time
made = 0
try:
    for _ in range(100):
        if os.fork() == 0:
            time.sleep(3)
            os._exit(0)
        made += 1
except OSError:
    pass
print(made)
"""
_SHARE = """
import glob
names = ("cpu.max", "cpu/cpu.cfs_quota_us", "cpu,cpuacct/cpu.cfs_quota_us")
print([open(path).read().split()[0] for name in names for path in glob.glob("/sys/fs/cgroup/" + name)])
"""
_LARGE = """
with open("/workspace/large", "wb") as handle:
    handle.writelines(b"x" * 1048576 for _ in range(64))
print("all of it")
"""
_MANY_BYTES = """
import time
for number in range(32):
    with open(f"/workspace/{number}", "wb") as handle:
        handle.write(b"x" * 1048576)
time.sleep(60)
"""
_MANY_FILES = """
import time
for number in range(2000):
    open(f"/workspace/{number}", "wb").close()
time.sleep(60)
"""
_DEAF = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(120)
"""
_DAEMON = f"""
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv("/usr/bin/python3", ["python3", "-c", "import signal, time; signal.signal(signal.SIGTERM, "
            "signal.SIG_IGN); time.sleep(120)", "{_MARK}"])
    os._exit(0)
os.wait()
print("deaf", flush=True)
time.sleep(120)
"""
_FLOOD = "import sys\nfor _ in range(64): sys.stdout.write(('x' * 1023 + chr(10)) * 128)"


def _case(defence: str, vector: str, tried: str, attempt: Callable[[Ground], Outcome]) -> Case:
    return Case(
        group="C",
        defence=defence,
        vector=vector,
        tried=tried,
        attempt=lambda ground: undisturbed(lambda: attempt(ground)),
        deadline_s=100.0,
        podman=True,
    )


def _spec(lab: PodmanLab, name: str, program: str, limits: Limits) -> SandboxSpec:
    return gate_spec(
        owner=Owner(run_id=f"attack-{name}", attempt=1, host="h1"),
        what="limit",
        take=1,
        image=lab.gate_image,
        tree=str(lab.directory(f"tree-{name}")),
        out_dir=str(lab.directory(f"out-{name}")),
        script=f"exec python3 -c {shlex.quote(program)}",
        limits=limits,
    )


@contextmanager
def _running(lab: PodmanLab, spec: SandboxSpec) -> Iterator[PodmanContainers]:
    containers = lab.containers
    containers.start(spec)
    try:
        yield containers
    finally:
        containers.remove(spec.name)


def _until(met: Callable[[], bool], within_s: float = _END_S) -> bool:
    pause = threading.Event()
    for _ in range(int(within_s / 0.05)):
        if met():
            return True
        pause.wait(0.05)
    return False


def _ended(containers: PodmanContainers, name: str) -> SandboxStatus:
    _until(lambda: containers.status(name).state is not RunState.RUNNING)
    return containers.status(name)


def _told_by_doctor(lab: PodmanLab, limit: str, otherwise: str) -> Outcome:
    """What the operator is told where the kernel does not keep a limit; else it should have been kept."""
    with PodmanClient(base_url=lab.url, timeout=30) as client:
        lacking = unenforceable(client.system.info(), platform.release())
    if limit in lacking:
        return Unenforceable(why=f"this kernel does not keep {limit}, and doctor says so")
    return Through(what=otherwise)


def _printed(lab: PodmanLab, name: str, program: str, limits: Limits) -> tuple[SandboxStatus, str]:
    spec = _spec(lab, name, program, limits)
    with _running(lab, spec) as containers:
        return _ended(containers, spec.name), containers.output(spec.name, 1000).decode("utf-8", "replace")


def _balloon(ground: Ground) -> Outcome:
    status, said = _printed(ground.podman, "balloon", _BALLOON, Limits(memory=64 * _MIB))
    if "all of it" in said:
        return _told_by_doctor(ground.podman, "memory", "200 MiB were taken where 64 are allowed")
    return Stopped(by=f"the kernel ended it: exit {status.exit_code}, out of memory: {status.oom}")


def _forks(ground: Ground) -> Outcome:
    _, said = _printed(ground.podman, "forks", _FORKS, Limits(pids=32))
    if not said.split():
        raise NoAnswer("it said nothing")
    made = int(said.split()[-1])
    if made >= 100:
        return _told_by_doctor(ground.podman, "pids", f"{made} processes were made where 32 are allowed")
    return Stopped(by=f"after {made} processes the kernel gave no more")


def _share(ground: Ground) -> Outcome:
    _, said = _printed(ground.podman, "share", _SHARE, Limits(cpus=0.5))
    if "50000" not in said:
        return _told_by_doctor(ground.podman, "cpu", "all processors are its own")
    return Stopped(by="half of one processor is its share")


def _large_file(ground: Ground) -> Outcome:
    status, said = _printed(ground.podman, "file", _LARGE, Limits(file=8 * _MIB))
    if "all of it" in said:
        return Through(what="64 MiB were written where 8 are allowed")
    return Stopped(by=f"the kernel gave no more: exit {status.exit_code} {said.strip()[-40:]}")


def _disk(program: str, ground: Ground) -> Outcome:
    lab, clock = ground.podman, SystemClock()
    spec = _spec(lab, "disk", program, Limits())
    limits = DiskLimits(written=8 * _MIB, entries=1000, floor=0)
    runner = SandboxRunner(
        containers=lab.containers,
        clock=clock,
        stopping=threading.Event(),
        disk=Disk(state_dir=lab.home, clock=clock, limits=limits),
    )
    try:
        ran = runner.to_end(spec, since=runner.moment(), timeout_s=12, cancelled=lambda: False)
    finally:
        lab.containers.remove(spec.name)
    if ran.overran:
        return Stopped(by=f"it was stopped: it {ran.overran}")
    if not ran.timed_out:
        raise NoAnswer("it ended by itself")
    return Through(what="it filled the disk")


def _told_to_end(program: str, ground: Ground) -> Outcome:
    lab = ground.podman
    spec = _spec(lab, "deaf", program, Limits())
    with _running(lab, spec) as containers:
        if not _until(lambda: b"deaf" in containers.output(spec.name, 1000)):
            raise NoAnswer(lab.said())
        containers.stop(spec.name, 0.5)
        alive = containers.status(spec.name).state is RunState.RUNNING
        survivors = _survivors()
    if alive or survivors:
        return Through(what="it goes on" if alive else "a child of it goes on")
    return Stopped(by="after its grace it was killed, with all that it had started")


def _survivors() -> list[str]:
    """Processes of this machine that bear the mark; one that ends meanwhile has ended."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if place.read_bytes().split(b"\0")[-2:-1] == [_MARK.encode()]:
                found.append(place.parent.name)
        except OSError:
            continue
    return found


def _flood(ground: Ground) -> Outcome:
    lab = ground.podman
    with replaced((podman_payloads, "LOG_BYTES", _MIB)):
        spec = _spec(lab, "flood", _FLOOD, Limits())
        with _running(lab, spec) as containers:
            _ended(containers, spec.name)
            kept = len(containers.output(spec.name, 10**9))
    return Through(what=f"{kept} bytes were kept") if kept > 2 * _MIB else Stopped(by=f"{kept} bytes of it were kept")


def _politely() -> Any:
    def stop(self: PodmanContainers, name: str, _grace_s: float) -> None:
        with self._client() as client:
            client.api.post(f"/containers/{name}/kill", params={"signal": "SIGTERM"})

    return replaced((PodmanContainers, "stop", stop))


_DEFENCES = (
    Defence(
        name="memory-limit",
        sentence="A sandbox's memory is bounded.",
        without=without_arguments(dropped("mem_limit", "memswap_limit")),
    ),
    Defence(
        name="process-limit",
        sentence="A sandbox's processes are bounded.",
        without=without_arguments(dropped("pids_limit", "ulimits")),
    ),
    Defence(
        name="processor-share",
        sentence="A sandbox has its share of the processors.",
        without=without_arguments(dropped("cpu_period", "cpu_quota")),
    ),
    Defence(
        name="file-size",
        sentence="A file that a sandbox writes is of bounded size.",
        without=without_arguments(dropped("ulimits")),
    ),
    Defence(
        name="disk-watch",
        sentence="What a sandbox writes to the host's disk is counted while it runs.",
        without=out(DiskWatch, "over", answering(None)),
    ),
    Defence(
        name="killed-in-the-end",
        sentence="What does not heed SIGTERM is killed, with all that it started.",
        without=_politely,
    ),
    Defence(
        name="bounded-log",
        sentence="Of what a sandbox prints a bounded end is kept.",
        without=without_arguments(dropped("log_config")),
    ),
)

_CASES = (
    _case("memory-limit", "balloon", "take 200 MiB where 64 are allowed", _balloon),
    _case("process-limit", "forks", "make 100 processes where 32 are allowed", _forks),
    _case("processor-share", "quota", "have more than half a processor where that is allowed", _share),
    _case("file-size", "large", "write 64 MiB to one file where 8 are allowed", _large_file),
    _case("disk-watch", "bytes", "write 32 MiB to the tree where 8 are allowed", partial(_disk, _MANY_BYTES)),
    _case("disk-watch", "files", "make 2000 files where 1000 are allowed", partial(_disk, _MANY_FILES)),
    _case("killed-in-the-end", "deaf-to-sigterm", "ignore SIGTERM", partial(_told_to_end, _DEAF)),
    _case("killed-in-the-end", "daemonised", "leave a daemon of its own behind", partial(_told_to_end, _DAEMON)),
    _case("bounded-log", "flood", "print 8 MiB where 1 is kept", _flood),
)

CHAPTER = Chapter(defences=_DEFENCES, cases=_CASES)
