"""Group C: what a sandbox may use up, and whether it ends when told to. Real podman; each try is itself bounded."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from podman import PodmanClient

from mcp_ashigaru.doctor import Level, judge_cgroups
from runner.adapters import podman_payloads
from runner.adapters.podman_containers import PodmanContainers
from runner.sandbox import Limits, Owner, gate_spec
from runner.sandboxes import RunState, SandboxSpec, SandboxStatus
from tests.attack.case import Case, Chapter, Defence, Outcome, Stopped, Through, Unenforceable
from tests.attack.ground import Ground
from tests.attack.in_sandbox import dropped, without_arguments
from tests.attack.taking_out import replaced
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
    return Case(group="C", defence=defence, vector=vector, tried=tried, attempt=attempt, deadline_s=100.0, podman=True)


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


def _told_by_doctor(lab: PodmanLab, otherwise: str) -> Outcome:
    """What the operator is told where the kernel does not keep a limit; else it should have been kept."""
    with PodmanClient(base_url=lab.url, timeout=30) as client:
        findings = judge_cgroups(client.info())
    untold = all(finding.level is Level.OK for finding in findings)
    return Through(what=otherwise) if untold else Unenforceable(why=f"doctor says: {findings[0].text}")


def _balloon(ground: Ground) -> Outcome:
    lab = ground.podman
    spec = _spec(lab, "balloon", _BALLOON, Limits(memory=64 * _MIB))
    with _running(lab, spec) as containers:
        status = _ended(containers, spec.name)
        if b"all of it" in containers.output(spec.name, 1000):
            return _told_by_doctor(lab, "200 MiB were taken where 64 are allowed")
    return Stopped(by=f"the kernel ended it: exit {status.exit_code}, out of memory: {status.oom}")


def _forks(ground: Ground) -> Outcome:
    lab = ground.podman
    spec = _spec(lab, "forks", _FORKS, Limits(pids=32))
    with _running(lab, spec) as containers:
        _ended(containers, spec.name)
        made = int(containers.output(spec.name, 1000).split()[-1])
    if made >= 100:
        return _told_by_doctor(lab, f"{made} processes were made where 32 are allowed")
    return Stopped(by=f"after {made} processes the kernel gave no more")


def _told_to_end(program: str, ground: Ground) -> Outcome:
    lab = ground.podman
    spec = _spec(lab, "deaf", program, Limits())
    with _running(lab, spec) as containers:
        if not _until(lambda: b"deaf" in containers.output(spec.name, 1000)):
            raise AssertionError(lab.said())
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
        without=without_arguments(dropped("pids_limit")),
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
    _case("killed-in-the-end", "deaf-to-sigterm", "ignore SIGTERM", partial(_told_to_end, _DEAF)),
    _case("killed-in-the-end", "daemonised", "leave a daemon of its own behind", partial(_told_to_end, _DAEMON)),
    _case("bounded-log", "flood", "print 8 MiB where 1 is kept", _flood),
)

CHAPTER = Chapter(defences=_DEFENCES, cases=_CASES)
