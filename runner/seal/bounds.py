"""What a sandbox may use up, tried from inside it: small programs, as data, that ask for too much. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from runner.sandbox import Limits
from runner.seal.assertions import Checked, Result
from runner.seal.places import Place

_MIB: Final = 1024 * 1024

_FORKS: Final = """
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
_THREADS: Final = """
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
_MEMORY: Final = "x = bytearray(b'x') * (300 * 1024 * 1024); print('held', len(x))"
_SHARE: Final = """
import glob
told = [open(path).read().split() for path in
    ("/sys/fs/cgroup/cpu.max", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us")
    if glob.glob(path)]
print("quota", [one[0] for one in told])
"""
_OPEN_FILES: Final = """
import os
try:
    while True:
        os.open("/dev/null", 0)
except OSError as fault:
    print(fault.errno)
"""
_TERABYTE: Final = """
import os, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    os.truncate(os.open("/workspace/x", os.O_CREAT | os.O_RDWR), 2**40)
except OSError as fault:
    print(fault.errno)
"""
_SCRATCH: Final = """
try:
    open("{place}", "wb").write(bytes({size} * 1024 * 1024))
except OSError as fault:
    print(fault.errno)
"""
_CORE: Final = """
import resource
try:
    resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
except ValueError:
    print(resource.getrlimit(resource.RLIMIT_CORE))
"""
_SMALL: Final = Limits(file=100 * _MIB, scratch=8 * _MIB)


@dataclass(frozen=True, kw_only=True)
class Came:
    """What came of a trial: how the sandbox ended, and what it printed."""

    exit_code: int | None
    oom: bool
    printed: str


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A program for Python that asks for more than `limits` allow, and how to tell that it did not get it.

    by: the host's means that it takes, "memory", "cpu" or "pids"; "" where every kernel has what it takes.
    """

    program: str
    limits: Limits
    held: Callable[[Came], bool]
    by: str = ""


def _refused_below(most: int) -> Callable[[Came], bool]:
    def held(came: Came) -> bool:
        words = came.printed.split()
        return bool(words) and words[0] == "refused" and int(words[-1]) < most

    return held


def _killed(came: Came) -> bool:
    return "held" not in came.printed and (came.oom or came.exit_code == 137)


def _printed(text: str) -> Callable[[Came], bool]:
    return lambda came: came.printed.strip() == text


TRIALS: Final[dict[str, Trial]] = {
    "a fork bomb ends at the limit": Trial(
        program=_FORKS, limits=Limits(pids=100), held=_refused_below(100), by="pids"
    ),
    "so does one of threads": Trial(program=_THREADS, limits=Limits(pids=100), held=_refused_below(100), by="pids"),
    "more memory than it may have kills it": Trial(
        program=_MEMORY, limits=Limits(memory=64 * _MIB), held=_killed, by="memory"
    ),
    "half a processor is half a processor": Trial(
        program=_SHARE, limits=Limits(cpus=0.5), held=lambda came: "50000" in came.printed, by="cpu"
    ),
    "open files end": Trial(program=_OPEN_FILES, limits=_SMALL, held=_printed("24")),
    "no file of a terabyte": Trial(program=_TERABYTE, limits=_SMALL, held=_printed("27")),
    "scratch memory ends": Trial(
        program=_SCRATCH.format(place="/tmp/x", size=20),  # noqa: S108 - inside the sandbox
        limits=_SMALL,
        held=_printed("28"),
    ),
    "shared memory ends": Trial(
        program=_SCRATCH.format(place="/dev/shm/x", size=80),  # noqa: S108 - inside the sandbox
        limits=_SMALL,
        held=_printed("28"),
    ),
    "core dumps cannot be had": Trial(program=_CORE, limits=_SMALL, held=_printed("(0, 0)")),
}
"""What is tried in a gate's sandbox."""


def judged(name: str, came: Came, unenforceable: Iterable[str]) -> Checked:
    """What came of the trial of that name. unenforceable: the means that this host is known not to have.

    What a host that lacks the means holds a sandbox to all the same, holds; it is measured, and not believed.
    """
    trial = TRIALS[name]
    if trial.held(came):
        return Checked(place=Place.GATE, asserted=name, result=Result.HOLDS)
    if trial.by in set(unenforceable):
        saw = f"{trial.by}: accepted and not enforced on this host, as tried"
        return Checked(place=Place.GATE, asserted=name, result=Result.ABSENT, saw=saw)
    saw = f"exit {came.exit_code}, out of memory: {came.oom}, said: {came.printed.strip()[:100]!r}"
    return Checked(place=Place.GATE, asserted=name, result=Result.BROKEN, saw=saw)
