"""One git process: its deadline, its complaint, and its end."""

from __future__ import annotations

import base64
import os
import re
import signal
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import IO, Final

from runner.errors import CheckoutFault, DiskLow, ForgeDown
from runner.host_words import MORE_FILES, TOO_MANY
from runner.model import Remote

_MAX_STDERR: Final = 64 * 1024
_MAX_DETAIL: Final = 200
_FULL: Final = re.compile("No space left on device|Out of diskspace|Disk quota exceeded")
_HOST: Final = re.compile("Read-only file system|Input/output error|File too large")
"""What the kernel says of this host's disk (strerror in the C locale), whatever remote takes part."""
_LEADING: Final = ("fatal:", "error:", "remote:", "!")


@dataclass(frozen=True, kw_only=True)
class GitTask:
    """One git command. deed completes "Git could not …"; feed is its standard input.

    With a remote, that remote's transport and credential are allowed and a failure is the forge's; without one there
    is no transport at all. variables are added to its environment and are visible to this machine's users.
    """

    arguments: tuple[str, ...]
    deed: str
    repository: Path | None = None
    feed: bytes = b""
    remote: Remote | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    statuses: frozenset[int] = frozenset({0})

    def fault(self, why: str, said: str = "") -> CheckoutFault | ForgeDown | DiskLow:
        """The fault to raise when this did not work. said: all that git had to say."""
        ours = [line for line in said.splitlines() if not line.startswith("remote:")]
        if any(_FULL.search(line) for line in ours):
            return DiskLow(f"Git could not {self.deed}: the host's disk is full; free some space")
        if any(TOO_MANY in line for line in ours):
            return CheckoutFault(f"Git could not {self.deed}: no more files can be opened here; {MORE_FILES}.")
        if any(_HOST.search(line) for line in ours):
            return CheckoutFault(f"Git could not {self.deed}: {why}; look at the host's disk and its log.")
        if self.remote is None:
            return CheckoutFault(f"Git could not {self.deed}: {why}; check the disk and the state directory.")
        return ForgeDown(f"Git could not {self.deed}: {why}; check that the forge answers and takes its credential.")


class Running:
    """A command under way: read `stdout`, then ask `finish` how it went, or `abandon` it."""

    def __init__(self, process: Popen[bytes], task: GitTask, timeout_s: float) -> None:
        """Watch the process, the leader of its own group; after `timeout_s` the group is killed."""
        if process.stdout is None or process.stderr is None:
            raise task.fault("it was started without pipes")
        self.stdout: IO[bytes] = process.stdout
        self._stderr = process.stderr
        self._process = process
        self._task = task
        self._timeout_s = timeout_s
        self._guard = threading.Lock()
        self._over = False
        self._expired = False
        self._tail = b""
        self._reader = threading.Thread(target=self._drain, name="git-stderr", daemon=True)
        self._timer = threading.Timer(timeout_s, self._expire)
        self._timer.daemon = True
        self._reader.start()
        self._timer.start()

    def finish(self) -> tuple[int, str]:
        """Exit status and the end of stderr, at most 64 KiB. Raises what `GitTask.fault` gives."""
        # WNOWAIT keeps the process id ours until nobody may signal it any more.
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        self._end_watch()
        status = self._process.wait()
        self._reader.join(timeout=self._timeout_s)
        said = self._tail.decode("utf-8", "replace")
        if self._expired:
            raise self._task.fault(f"it took longer than {self._timeout_s:g} s")
        if status == 127:
            raise self._task.fault("git is not installed")
        if status not in self._task.statuses:
            raise self._task.fault(complaint(said, self._task.remote), said)
        return status, said

    def abandon(self) -> None:
        """The process and all that it started are gone; what they still had to say is dropped."""
        self._kill()
        self._process.wait()
        self._end_watch()
        self._reader.join(timeout=self._timeout_s)

    def _end_watch(self) -> None:
        self._timer.cancel()
        with self._guard:
            self._over = True

    def _expire(self) -> None:
        self._expired = self._kill()

    def _kill(self) -> bool:
        with self._guard:
            if self._over:
                return False
            self._over = True
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            return True

    def _drain(self) -> None:
        while chunk := os.read(self._stderr.fileno(), 8192):
            self._tail = (self._tail + chunk)[-_MAX_STDERR:]


def complaint(said: str, remote: Remote | None) -> str:
    """The line of git's complaint that tells most: bounded, printable, and without the remote's password."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(_LEADING)] or lines or ["it gave no reason"]
    line = telling[0]
    if remote is not None and remote.password:
        basic = base64.b64encode(f"{remote.username or ''}:{remote.password}".encode()).decode()
        line = line.replace(remote.password, "***").replace(basic, "***")
    return "".join(ch if ch.isprintable() else "?" for ch in line)[:_MAX_DETAIL].rstrip(".")
