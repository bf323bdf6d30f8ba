"""Gates on this very machine, in the place of sandboxes: the gate's own command on the judge's own tree, unsealed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from runner.egress_rules import Egress
from runner.sandbox import ENV_DIR, OUT_DIR, WORKSPACE
from runner.sandboxes import SandboxSpec
from tests.fakes.behaviours import Behaviour, Ended, Inside
from tests.fakes.containers import FakeContainers

_DEADLINE_S: Final = 60


class NoWay:
    """Egress for set-ups that need none: they are let nowhere."""

    def open(self, owner: str, socket_dir: Path, rules: Egress) -> None:
        """Serve nothing."""

    def shut(self, owner: str) -> None:
        """Nothing was served."""

    def refusals(self, owner: str) -> tuple[str, ...]:  # noqa: ARG002 - the port's signature
        """Nothing was asked for."""
        return ()

    def unreached(self, owner: str) -> tuple[str, ...]:  # noqa: ARG002 - the port's signature
        """Nothing was dialled."""
        return ()


@contextmanager
def host_containers() -> Iterator[FakeContainers]:
    """Containers whose sandboxes run on the host. Not for cases that are `sealed`."""
    with tempfile.TemporaryDirectory(prefix="ash-") as path:
        python = Path(path) / "python3"
        # This interpreter, wherever its name is looked up.
        python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="utf-8")
        python.chmod(0o755)
        yield FakeContainers(lambda spec: _behaviour(spec, path))


def _behaviour(spec: SandboxSpec, path: str) -> Behaviour:
    def behaviour(inside: Inside) -> Ended:
        places = {mount.target: mount.source for mount in spec.mounts}
        argv = [_moved(part, places) for part in spec.command]
        _told_where(inside.tree, places)
        process = subprocess.Popen(
            argv,
            cwd=inside.tree,
            env={
                "PATH": f"{path}:{os.defpath}",
                "HOME": path,
                "LANG": "C.UTF-8",
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            printed, _ = process.communicate(timeout=_DEADLINE_S)
            inside.say(printed)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        return Ended(code=process.returncode if process.returncode >= 0 else 128 - process.returncode)

    return behaviour


def _moved(part: str, places: dict[str, str]) -> str:
    for target in (WORKSPACE, OUT_DIR, ENV_DIR):
        part = part.replace(target, places.get(target, "/nowhere"))
    return part


def _told_where(tree: Path, places: dict[str, str]) -> None:
    """What the tree's own scripts say of a sandbox's directories is made true on this machine."""
    for path in tree.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        if ENV_DIR in text:
            path.write_text(text.replace(ENV_DIR, places.get(ENV_DIR, "/nowhere")), encoding="utf-8")
