"""Podman's API on a socket of our own, for as long as somebody needs it: started again where it dies.

Podman 4.3's service was seen to die of a fault of its own (`runner.adapters.podman_races`). Containers are not its
children and go on; whoever asks meanwhile is told `EngineDown`. The only library is the `podman` command line.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from runner.adapters.podman_home import PodmanHome, prepare_podman
from runner.errors import EngineDown

_LOG: Final = logging.getLogger(__name__)
START_S = 30.0
STOP_S = 15.0
_AGAIN_S: Final = (0.1, 1.0, 5.0, 30.0)
"""How long after a death it is started again; the last for every further one. Seconds."""
_WELL_S: Final = 60.0
"""A service that lived as long as this dies for the first time again."""


class PodmanService:
    """Podman's API on a socket of our own, from `__enter__` to `__exit__`.

    The process is ended by its id, and one that ends by itself is followed by another on the same socket. It also ends
    when its starter is killed (where setpriv is there), so a daemon that died leaves no second service behind;
    containers are not its children and go on.
    """

    def __init__(self, state_dir: Path) -> None:
        """Name the state directory; nothing is started yet."""
        self._state_dir = state_dir
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: Path | None = None
        self._unwanted = threading.Event()
        self._keeper: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The socket's URL, `unix:///…`. Raises EngineDown before the start."""
        if self._socket is None:
            raise EngineDown("podman's service has not been started; start it before asking for its address.")
        return f"unix://{self._socket}"

    def start(self) -> str:
        """Have the service answering, and give its URL. Raises EngineDown."""
        if self._keeper is not None:
            return self.url
        home = prepare_podman(self._state_dir)
        self._socket = home.runtime / f"api-{os.getpid()}.sock"
        _forget_dead_sockets(home.runtime)
        self._spawn(home)
        self._unwanted.clear()
        self._keeper = threading.Thread(target=self._keep, args=(home,), name="podman-service", daemon=True)
        self._keeper.start()
        return self.url

    def stop(self) -> None:
        """The service no longer runs and its socket is gone. Repeats do nothing."""
        self._unwanted.set()
        keeper, self._keeper = self._keeper, None
        self._end()
        if keeper is not None:
            keeper.join(START_S + STOP_S)
            self._end()  # one that was on its way up meanwhile
        if self._socket is not None:
            self._socket.unlink(missing_ok=True)

    def _end(self) -> None:
        process = self._process
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_S)

    def _spawn(self, home: PodmanHome) -> None:
        """A process that answers. Raises EngineDown where there is none in time."""
        path = self._socket
        if path is None:
            raise EngineDown("podman's service has no socket; start it again.")
        path.unlink(missing_ok=True)
        tie = ("setpriv", "--pdeathsig", "TERM") if shutil.which("setpriv") else ()
        log = home.private / "service.log"
        if log.exists():
            log.replace(home.private / "service.log.1")
        with log.open("wb") as output:
            process = self._process = subprocess.Popen(
                [*tie, *home.argv, "system", "service", "--time", "0", self.url],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_S
        while not _answers(path):
            if process.poll() is not None or time.monotonic() > deadline:
                self._end()
                raise EngineDown(f"podman's service did not start; {log} says why.")
            time.sleep(0.02)

    def _keep(self, home: PodmanHome) -> None:
        """Start it again whenever it has ended without having been told to."""
        deaths = 0
        while self._process is not None:
            begun = time.monotonic()
            self._process.wait()
            if time.monotonic() - begun > _WELL_S:
                deaths = 0
            if self._unwanted.wait(_AGAIN_S[min(deaths, len(_AGAIN_S) - 1)]):
                return
            deaths += 1
            _LOG.warning("podman's service ended by itself; it is started again, and service.log.1 says why it ended")
            try:
                self._spawn(home)
            except (EngineDown, OSError):
                _LOG.exception("podman's service could not be started again; it is tried once more in a while")

    def __enter__(self) -> Self:
        """Start. Raises EngineDown."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1.0)
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True


def _forget_dead_sockets(runtime: Path) -> None:
    for path in runtime.glob("api-*.sock"):
        # A busy service may be slow to answer; the socket of one whose starter lives is never taken away.
        if not _lives(path.stem.removeprefix("api-")) and not _answers(path):
            path.unlink(missing_ok=True)


def _lives(pid: str) -> bool:
    return pid.isdigit() and Path(f"/proc/{pid}").exists()
