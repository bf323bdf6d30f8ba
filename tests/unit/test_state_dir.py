"""One daemon for each state directory, whatever became of the last one."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mcp_ashigaru.settings import ConfigError
from mcp_ashigaru.state_dir import is_reconciled, mark_restored, only_daemon, was_restored

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import sys
from pathlib import Path
from mcp_ashigaru.state_dir import only_daemon
with only_daemon(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_daemon_is_refused_until_the_first_is_gone_even_by_sigkill(tmp_path: Path) -> None:
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )
    with first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"held\n"
        with pytest.raises(ConfigError, match=r"Another daemon works on .*; stop it"), only_daemon(tmp_path):
            pass
        first.kill()
    assert (tmp_path / "daemon.lock").exists()
    with only_daemon(tmp_path):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO, errno.ESTALE])
def test_a_file_system_without_locks_is_no_other_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def flock(_handle: object, _how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(ConfigError, match=r"gives no lock .*on a local disk"), only_daemon(tmp_path):
        pass


def test_a_lock_that_another_account_owns_is_a_matter_of_rights(tmp_path: Path) -> None:
    # What cannot be opened for writing; an account's own rights would stop anybody but root.
    (tmp_path / "daemon.lock").mkdir()
    with pytest.raises(ConfigError, match="cannot be written; correct its rights"), only_daemon(tmp_path):
        pass


def test_the_mark_of_a_backup_stays_until_it_has_done_its_work(tmp_path: Path) -> None:
    assert not was_restored(tmp_path)
    mark_restored(tmp_path)
    assert was_restored(tmp_path)
    is_reconciled(tmp_path)
    is_reconciled(tmp_path)
    assert not was_restored(tmp_path)
