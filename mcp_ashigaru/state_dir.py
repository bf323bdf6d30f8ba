"""What the daemon itself keeps in its state directory: one lock and three secrets."""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mcp_ashigaru.settings import ConfigError

_RESTORED: Final = "restored"


def make_state_dir(state_dir: Path) -> None:
    """Have the directory there, for this account alone where it is new. Raises ConfigError."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as exc:
        raise ConfigError(f"{state_dir} cannot be made; correct its rights, or set ASHIGARU_STATE_DIR.") from exc


def forge_secret(state_dir: Path) -> str:
    """What the daemon's own git shows to the local forge."""
    return _made_once(state_dir, "forge-secret")


def host_label(state_dir: Path, host_id: str) -> str:
    """What sandboxes made from this state directory are known by: no other's, even of the same name on this machine."""
    word = _made_once(state_dir, "host-word")
    return f"{host_id}-{hashlib.sha256(word.encode('ascii')).hexdigest()[:12]}"


def canary_of(state_dir: Path, run_id: str) -> str:
    """A word of the run's own that stands where no sandbox may read: whatever tells it has been there."""
    key = _made_once(state_dir, "canary-secret").encode("ascii")
    return f"canary-{hmac.new(key, run_id.encode(), hashlib.sha256).hexdigest()[:40]}"


def _made_once(state_dir: Path, name: str) -> str:
    """A secret of the daemon's, never seen half-written, and never empty: that would be one that anybody knows."""
    path = state_dir / name
    if path.exists() and not path.read_bytes().strip():
        # A host that lost its power before the file's content was on the disk.
        path.unlink(missing_ok=True)
    if not path.exists():
        make_state_dir(state_dir)
        draft = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as handle:
            handle.write(secrets.token_urlsafe(32))
            handle.flush()
            os.fsync(handle.fileno())
        try:
            # A link fails where a command that ran beside us was first; then its secret is the one.
            path.hardlink_to(draft)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text(encoding="ascii").strip()


def mark_restored(state_dir: Path) -> None:
    """Have the next start know that what is here is from a backup, and may be older than the world."""
    (state_dir / _RESTORED).touch(mode=0o600)


def was_restored(state_dir: Path) -> bool:
    """Whether it is from a backup, and no daemon has brought it together with the world yet."""
    return (state_dir / _RESTORED).exists()


def is_reconciled(state_dir: Path) -> None:
    """The world's word on every run is on record: the mark has done its work."""
    (state_dir / _RESTORED).unlink(missing_ok=True)


@contextmanager
def only_daemon(state_dir: Path) -> Iterator[None]:
    """Hold the state directory's lock, which the kernel frees when we die. Raises ConfigError where another daemon has
    it, or where none is to be had.
    """
    try:
        handle = (state_dir / "daemon.lock").open("w", encoding="ascii")
    except OSError as exc:
        raise ConfigError(f"{state_dir} cannot be written; correct its rights, or set ASHIGARU_STATE_DIR.") from exc
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise ConfigError(
                f"Another daemon works on {state_dir}; stop it, or choose another ASHIGARU_STATE_DIR."
            ) from exc
        except OSError as exc:
            # Some network file systems keep none, and without one two daemons would do everything twice.
            raise ConfigError(
                f"The file system of {state_dir} gives no lock ({exc.strerror}); "
                "choose an ASHIGARU_STATE_DIR on a local disk."
            ) from exc
        yield
