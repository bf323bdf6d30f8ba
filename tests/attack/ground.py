"""What attacks are carried out on: a directory that is emptied afterwards, and costly worlds that are made once."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from tests.sandbox.podman_lab import PodmanLab

_World = TypeVar("_World")


class NoPodman(Exception):
    """The case needs real containers and there are none."""


@dataclass(kw_only=True)
class Ground:
    """One run of the suite, all defences up or one taken out. Worlds live until it ends."""

    home: Path
    stack: ExitStack
    lab: PodmanLab | None = None
    _worlds: dict[str, Any] = field(default_factory=dict)
    _made: int = 0

    def directory(self) -> Path:
        """A new directory of the case's own, with a short name: sockets may lie in it."""
        self._made += 1
        made = self.home / str(self._made)
        made.mkdir()
        return made

    def world(self, name: str, build: Callable[[], _World]) -> _World:
        """What `build` made at the first call; a world that several cases look at."""
        if name not in self._worlds:
            self._worlds[name] = build()
        return cast("_World", self._worlds[name])

    @property
    def podman(self) -> PodmanLab:
        """Real rootless podman. Raises NoPodman."""
        if self.lab is None:
            raise NoPodman
        return self.lab


@contextmanager
def ground(lab: PodmanLab | None = None) -> Iterator[Ground]:
    """A ground, with nothing left of it afterwards."""
    with tempfile.TemporaryDirectory(prefix="asha", dir="/tmp") as home, ExitStack() as stack:
        yield Ground(home=Path(home), stack=stack, lab=lab)
