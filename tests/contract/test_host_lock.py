"""Two daemons with directories of their own on the same records: each host works once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from runner.adapters.host_lock import only_host
from runner.adapters.sql_engine import open_engine
from runner.errors import NotPossible

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import sys
from runner.adapters.host_lock import only_host
from runner.adapters.sql_engine import open_engine
with only_host(open_engine(sys.argv[1]), "here"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_host_is_held_until_its_daemon_is_killed(database_url: str) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, database_url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )
    engine = open_engine(database_url)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(NotPossible, match="works as host here on these records; stop it"),
            only_host(engine, "here"),
        ):
            pass
    finally:
        with holder:
            holder.kill()
    for _ in range(2):
        # Again, for leaving gives it back too.
        with only_host(engine, "here"):
            pass
    engine.dispose()


def test_a_server_has_many_hosts_and_a_file_has_one_daemon(database_url: str) -> None:
    one, other = open_engine(database_url), open_engine(database_url)
    with only_host(one, "here"):
        if one.dialect.name == "postgresql":
            with only_host(other, "there"):
                pass
        else:
            with pytest.raises(NotPossible), only_host(other, "there"):
                pass
    one.dispose()
    other.dispose()
