"""The victim: the daemon as it is served, in a process of its own that passes fault points.

`python -m tests.chaos.victim` imports everything once and then makes a victim of itself for each order on its
standard input, by a fork: what takes seconds is done before. Orders and answers are JSON lines.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import select
import signal
import sys
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from pydantic import SecretStr, TypeAdapter

from mcp_ashigaru import serving
from mcp_ashigaru.daemon import Parts
from mcp_ashigaru.settings import load_settings
from runner.adapters.podman_containers import PodmanContainers
from runner.conclusion import UpstreamFailure
from tests.chaos import defences, seams
from tests.chaos.engine_socket import DistantContainers
from tests.chaos.points import UP, Arm, Points
from tests.story.house import FakeModel, NoEgress

# What a daemon imports only once it runs.
_LATE = ("anyio._backends._asyncio", "dbos._sys_db_sqlite", "rich.logging", "uvicorn.lifespan.on", "uvicorn.loops.auto")
_PR_SET_PDEATHSIG = 1
_SECRETS = ("github_token", "mcp_token")


@dataclass(frozen=True, kw_only=True)
class Order:
    """One process to be: its settings, its world, and where it is to die.

    engine: the socket of the harness's sandboxes; "" for real podman. exhausted: attempts whose model says that the
    quota is used up. without: names of defences to take out. log: where its standard error goes. drain: `--drain`.
    since: see `Points`.
    """

    settings: dict[str, Any]
    journal: Path
    log: Path
    engine: str = ""
    arm: Arm | None = None
    exhausted: tuple[int, ...] = ()
    without: tuple[str, ...] = ()
    drain: bool = False
    since: int | None = None


ORDER = TypeAdapter(Order)


@dataclass(kw_only=True)
class ScriptedModel(FakeModel):
    """Model access that fails for some attempts."""

    exhausted: tuple[int, ...] = field(default=())

    def failure(self, run_id: str, attempt: int) -> UpstreamFailure | None:  # noqa: ARG002 - the port's signature
        if attempt in self.exhausted:
            return UpstreamFailure(status=429, type="rate_limit_error", retry_at=1.0)
        return None


def be(order: Order) -> None:
    """Serve as that order says, until killed or told to stop."""
    points = Points(journal=order.journal, arm=order.arm, since=order.since)
    seams.install(points)
    for name in order.without:
        defences.take_out(name)
    settings = {name: SecretStr(text) if name in _SECRETS else text for name, text in order.settings.items()}
    if order.engine:
        containers = DistantContainers(order.engine)
        seams.containers_of(points, containers)
        parts = Parts(containers=containers, model=ScriptedModel(exhausted=order.exhausted), egress=NoEgress())
    else:
        seams.containers_of(points, PodmanContainers)
        parts = Parts()
    startup = serving._Announcing.startup

    async def announced(self: Any, sockets: Any = None) -> None:
        await startup(self, sockets)
        points.say(f"{UP}{sockets[0].getsockname()[1]}")

    serving._Announcing.startup = announced  # type: ignore[method-assign]
    serving.serve(load_settings(**settings), "streamable-http", parts, drain=order.drain)


def main() -> None:
    """Take orders until the end of input; each is answered by its process id, and later by how it ended."""
    get_mapping_from_secret_type_to_class()
    for name in _LATE:
        importlib.import_module(name)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    _say({"ready": os.getpid()})
    read = b""
    living: set[int] = set()
    while True:
        readable, _, _ = select.select([0, woken], [], [])
        if woken in readable:
            os.read(woken, 512)
            living -= _reaped()
        if 0 in readable:
            piece = os.read(0, 65536)
            if not piece:
                for pid in living:
                    os.kill(pid, signal.SIGKILL)
                # There is nothing to be tidied, and an interpreter with all of this loaded takes its time to end.
                os._exit(0)
            *lines, read = (read + piece).split(b"\n")
            for line in lines:
                pid = _forked(ORDER.validate_json(line), (woken, wake))
                living.add(pid)
                _say({"begun": pid})


def _reaped() -> set[int]:
    gone: set[int] = set()
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return gone
        if pid == 0:
            return gone
        gone.add(pid)
        _say({"ended": pid, "status": os.waitstatus_to_exitcode(status)})


def _forked(order: Order, ours: tuple[int, int]) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 3
    try:
        os.setsid()
        # Nobody but the harness knows of it: where that is gone, it goes too.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for fd in ours:
            os.close(fd)
        log = os.open(order.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        null = os.open(os.devnull, os.O_RDONLY)
        for old, new in ((null, 0), (log, 1), (log, 2)):
            os.dup2(old, new)
        for name in [name for name in os.environ if name.startswith("ASHIGARU_")]:
            del os.environ[name]
        be(order)
        status = 0
    except SystemExit as exc:
        status = int(exc.code or 0)
    except BaseException:  # noqa: BLE001 - the end of this process: it must never go on as the one that takes orders
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _say(told: dict[str, Any]) -> None:
    os.write(1, json.dumps(told).encode() + b"\n")


if __name__ == "__main__":
    main()
