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

from mcp_ashigaru.settings import ConfigError


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
    """A secret of the daemon's, never seen half-written."""
    path = state_dir / name
    if not path.exists():
        make_state_dir(state_dir)
        draft = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as handle:
            handle.write(secrets.token_urlsafe(32))
        try:
            # A link fails where a command that ran beside us was first; then its secret is the one.
            path.hardlink_to(draft)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text(encoding="ascii").strip()


@contextmanager
def only_daemon(state_dir: Path) -> Iterator[None]:
    """Hold the state directory's lock. Raises ConfigError where another daemon does."""
    try:
        handle = (state_dir / "daemon.lock").open("w", encoding="ascii")
    except OSError as exc:
        raise ConfigError(f"{state_dir} cannot be written; correct its rights, or set ASHIGARU_STATE_DIR.") from exc
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise ConfigError(
                f"Another daemon works on {state_dir}; stop it, or choose another ASHIGARU_STATE_DIR."
            ) from exc
        yield
