"""Git as a command, shut off from the host's and the user's configuration. The only importer of GitPython.

Every command has a deadline, starts from an empty environment and runs no hook, no filter, no monitor and no
transport but the one its remote needs. A password reaches git through an anonymous memory file that only that one
command reads, as settings for the one origin: never argv, never the environment, never a disk.
"""

from __future__ import annotations

import base64
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from git import Git
from git.exc import GitError

from runner.adapters.git_process import GitTask, Running
from runner.errors import CheckoutFault
from runner.files import read_at_most
from runner.model import Remote

SYSTEM_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MAX_OUTPUT: Final = 256 * 1024 * 1024

CERTIFICATE_VARIABLES: Final = frozenset({"GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "SSL_CERT_FILE", "SSL_CERT_DIR"})
"""What an operator may hand through to git: where the trusted certificates are."""

_CONFIG: Final = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.askPass=",
    "core.pager=cat",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "credential.helper=",
    "commit.gpgSign=false",
    "push.gpgSign=false",
    "push.followTags=false",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "gc.auto=0",
    "maintenance.auto=false",
    # A redirect would take the credential along to a host that nobody named.
    "http.followRedirects=false",
)
_OID: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a finished command said. err is the end of its stderr, at most 64 KiB."""

    status: int
    out: bytes
    err: str

    def text(self) -> str:
        """Standard output without the surrounding blanks, for one-line answers."""
        return self.out.decode("utf-8", "replace").strip()


class GitCommand:
    """Runs git for the daemon, in repositories that no container ever sees."""

    def __init__(
        self,
        home: Path,
        *,
        timeout_s: float,
        path: str = SYSTEM_PATH,
        certificates: Mapping[str, str] | None = None,
    ) -> None:
        """`home` becomes git's HOME and stays empty; `certificates` may hold CERTIFICATE_VARIABLES only."""
        chosen = dict(certificates or {})
        if strange := sorted(set(chosen) - CERTIFICATE_VARIABLES):
            raise CheckoutFault(f"{strange[0]} is not a certificate variable of git; leave it out.")
        self._home = home.absolute()
        self._timeout_s = timeout_s
        self._environment = {
            "PATH": path,
            "HOME": str(self._home),
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_LITERAL_PATHSPECS": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            **chosen,
        }

    def run(self, task: GitTask) -> Reply:
        """The finished command's answer.

        Raises ForgeDown where a remote takes part and CheckoutFault otherwise: on an exit status that the task does
        not expect, after the deadline, and on more than 256 MiB of output.
        """
        with self.streaming(task) as running:
            out = read_at_most(running.stdout, MAX_OUTPUT + 1)
            if len(out) > MAX_OUTPUT:
                raise task.fault("the answer is larger than 256 MiB")
            status, said = running.finish()
        return Reply(status=status, out=out, err=said)

    @contextmanager
    def streaming(self, task: GitTask) -> Iterator[Running]:
        """The command under way, for reading piece by piece; leaving the block ends it."""
        with ExitStack() as stack:
            running = self._start(task, stack)
            stack.callback(running.abandon)
            yield running

    def _start(self, task: GitTask, stack: ExitStack) -> Running:
        fds: list[int] = []
        config = list(_CONFIG)
        if task.remote is not None:
            origin = checked_origin(task.remote)
            if task.remote.password is not None:
                fd = _credential_file(task.remote, origin)
                stack.callback(os.close, fd)
                fds.append(fd)
                config.append(f"include.path=/proc/self/fd/{fd}")
        try:
            self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
            stdin = tempfile.TemporaryFile(dir=self._home.parent)  # noqa: SIM115 - the stack closes it
            stack.callback(stdin.close)
            stdin.write(task.feed)
            stdin.seek(0)
            handle = Git().execute(
                self._argv(task, config), istream=stdin, as_process=True, start_new_session=True, pass_fds=tuple(fds)
            )
        except (GitError, OSError, ValueError) as exc:
            said = exc.strerror if isinstance(exc, OSError) else None
            raise task.fault("its process could not be started", said or "") from exc
        # Closes the pipes; GitPython would leave that to the garbage collector.
        stack.callback(handle._terminate)  # noqa: SLF001
        if handle.proc is None:
            raise task.fault("its process is gone")
        return Running(handle.proc, task, self._timeout_s)

    def _argv(self, task: GitTask, config: list[str]) -> list[str]:
        allowed = "none" if task.remote is None else urlsplit(task.remote.url).scheme
        variables = {**self._environment, **task.variables, "GIT_ALLOW_PROTOCOL": allowed}
        return [
            "env",
            "-i",
            f"--chdir={self._home}",
            *(f"{name}={value}" for name, value in variables.items()),
            "git",
            *(part for item in config for part in ("-c", item)),
            *([] if task.repository is None else [f"--git-dir={task.repository}"]),
            *task.arguments,
        ]


def checked_origin(remote: Remote) -> str:
    """Scheme and host of a remote that may be used. Raises CheckoutFault."""
    try:
        parts = urlsplit(remote.url)
    except ValueError as exc:
        raise CheckoutFault("The remote's address is malformed; correct it in the settings.") from exc
    plain = remote.url.isprintable() and " " not in remote.url and not parts.query and not parts.fragment
    web = parts.scheme in {"http", "https"} and _HOST.fullmatch(parts.netloc) is not None
    local = parts.scheme == "file" and not parts.netloc
    if not plain or not (web or local) or not parts.path.startswith("/"):
        raise CheckoutFault("A remote must be an http(s) or file address with a path and no credential; correct it.")
    if any(ch in (text or "") for text in (remote.username, remote.password) for ch in "\r\n\0"):
        raise CheckoutFault("The remote's credential holds a line break; write it on one line.")
    return f"{parts.scheme}://{parts.netloc}"


def checked_oid(oid: str) -> str:
    """The object id, if it is one in full lower-case hex. Raises CheckoutFault."""
    if not _OID.fullmatch(oid):
        raise CheckoutFault("A commit must be named by its full id in lower-case hex.")
    return oid


def _credential_file(remote: Remote, origin: str) -> int:
    """A settings file in memory that has git show the credential to that origin at once, and to no other."""
    basic = base64.b64encode(f"{remote.username or 'x-access-token'}:{remote.password}".encode()).decode("ascii")
    fd = os.memfd_create("credential")
    os.write(fd, f'[http "{origin}/"]\n\textraHeader = Authorization: Basic {basic}\n'.encode())
    return fd
