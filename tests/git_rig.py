"""Real git for tests: repositories made by hand, and an ASGI app served on loopback."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from tests.loopback import listening

SECRET = "correct-horse-battery"
ENVIRONMENT = {
    "PATH": os.defpath + ":/usr/local/bin",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_AUTHOR_NAME": "Ann",
    "GIT_AUTHOR_EMAIL": "ann@example.org",
    "GIT_AUTHOR_DATE": "@1700000000 +0000",
    "GIT_COMMITTER_NAME": "Ann",
    "GIT_COMMITTER_EMAIL": "ann@example.org",
    "GIT_COMMITTER_DATE": "@1700000000 +0000",
}


def git(where: Path, *arguments: str, feed: bytes = b"", check: bool = True) -> str:
    """What git answers in a directory, run as some person would."""
    done = subprocess.run(
        ["git", *arguments],
        cwd=where,
        env={**ENVIRONMENT, "HOME": str(where)},
        input=feed,
        capture_output=True,
        check=check,
        timeout=60,
    )
    return done.stdout.decode("utf-8", "replace").strip()


def write(tree: Path, files: Mapping[str, str | bytes]) -> None:
    """Have these files below `tree`."""
    for name, content in files.items():
        file = tree / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())


def commit_all(work: Path, message: str = "change") -> str:
    """Commit everything in a work tree; the commit's id."""
    git(work, "add", "-A", "--force")
    git(work, "commit", "--quiet", "--allow-empty", "-m", message)
    return git(work, "rev-parse", "HEAD")


def make_repository(work: Path, files: Mapping[str, str | bytes], branch: str = "main") -> str:
    """A work tree with one commit on `branch`; the commit's id."""
    work.mkdir(parents=True)
    git(work, "init", "--quiet", "--template=", f"--initial-branch={branch}")
    write(work, files)
    return commit_all(work, "first")


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """The app on a free loopback port; its base URL."""
    with listening() as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=5))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=10)
