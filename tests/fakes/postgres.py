"""A PostgreSQL of the tests' own: a throw-away cluster on a Unix socket, without a port.

Where its programs are not installed the tests' other half runs alone; where CI asks for everything they fail instead.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg

_LOOKED_IN = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")
_PATIENCE_S = 60
_ACCOUNT = "postgres"


def programs() -> Path | None:
    """Where `initdb` and `postgres` are, the newest ones; None where they are not."""
    on_path = shutil.which("initdb")
    if on_path and (Path(on_path).resolve().parent / "postgres").exists():
        return Path(on_path).resolve().parent
    found = sorted(path for pattern in _LOOKED_IN for path in Path("/").glob(pattern[1:]) if (path / "initdb").exists())
    return found[-1] if found else None


def backends() -> list[str]:
    """The databases to test with: PostgreSQL too where it is here, or has to be."""
    required = os.environ.get("ASHIGARU_REQUIRE_PODMAN") == "1"
    return ["sqlite", *(["postgresql"] if required or programs() is not None else [])]


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A server that is up."""

    socket_dir: Path
    _control: tuple[str, ...]
    _options: str
    _numbers: Iterator[int] = field(default_factory=count)

    def schema(self) -> str:
        """The URL of a new schema, which is as good as a database of one's own and far cheaper."""
        name = f"test{next(self._numbers)}"
        with psycopg.connect(self._words("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE SCHEMA "{name}"')
        return f"{self.url('postgres')}&options=-csearch_path%3D{name}"

    def database(self) -> str:
        """The URL of a new database."""
        name = f"test{next(self._numbers)}"
        with psycopg.connect(self._words("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def crash(self) -> None:
        """The server ends in the middle of whatever it does, and so does every connection; it recovers when started."""
        _run([*self._control, "-m", "immediate", "stop"], self.socket_dir)

    def start(self) -> None:
        """The server answers."""
        log = str(self.socket_dir / "log")
        _run([*self._control, "-l", log, "-o", self._options, "start"], self.socket_dir)

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://{_ACCOUNT}@/{name}?host={self.socket_dir}"

    def _words(self, name: str) -> str:
        return f"host={self.socket_dir} user={_ACCOUNT} dbname={name}"


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A fresh server, gone afterwards with all it held."""
    where = programs()
    assert where is not None, "PostgreSQL is not installed, and ASHIGARU_REQUIRE_PODMAN=1 asks for it; install it."
    home = Path(tempfile.mkdtemp(prefix="ashpg"))
    try:
        as_account: list[str] = []
        if os.geteuid() == 0:
            # It refuses to run as root.
            shutil.chown(home, _ACCOUNT)
            as_account = ["runuser", "-u", _ACCOUNT, "--"]
        data = home / "data"
        made = [str(where / "initdb"), "-D", str(data), "-U", _ACCOUNT, "-A", "trust", "-E", "UTF8", "--no-sync"]
        _run([*as_account, *made], home)
        options = f"-c listen_addresses='' -c fsync=off -c max_connections=60 -k {home}"
        control = (*as_account, str(where / "pg_ctl"), "-D", str(data), "-w", "-t", str(_PATIENCE_S))
        server = Cluster(socket_dir=home, _control=control, _options=options)
        server.start()
        try:
            yield server
        finally:
            server.crash()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _run(command: list[str], home: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", "HOME": str(home)}
    # To a file: the server would hold a pipe open for as long as it lives.
    with tempfile.TemporaryFile() as said:
        done = subprocess.run(
            command, cwd="/", env=environment, stdout=said, stderr=said, timeout=_PATIENCE_S * 2, check=False
        )
        said.seek(0)
        assert done.returncode == 0, said.read().decode("utf-8", "replace")
