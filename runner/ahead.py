"""Sandboxes that are made before they are due, beside other work, so that only their start is left."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from runner.errors import RunnerError
from runner.ports import Containers
from runner.sandboxes import SandboxSpec

_LOG: Final = logging.getLogger(__name__)
_SETTLE_S: Final = 60.0


@dataclass(kw_only=True)
class _Making:
    run_id: str
    thread: threading.Thread | None = None
    made: SandboxSpec | None = None


@dataclass(frozen=True, kw_only=True)
class Ahead:
    """A convenience only: whatever was not made is made when it is due. Safe from any thread."""

    containers: Containers
    _making: dict[str, _Making] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, run_id: str, name: str, recipe: Callable[[], SandboxSpec | None]) -> None:
        """Begin to make the sandbox `name` for the run. recipe: makes its directories, and says what it is.

        None from it: the sandbox is not to be made before it is due, after all.
        """
        making = _Making(run_id=run_id)
        making.thread = threading.Thread(target=self._make, args=(making, recipe), name=f"ahead-{name}", daemon=True)
        with self._guard:
            if name in self._making:
                return
            self._making[name] = making
        making.thread.start()

    def begun(self, name: str) -> bool:
        """Whether it is being made, or made and not taken yet."""
        return name in self._making

    def take(self, name: str) -> SandboxSpec | None:
        """The sandbox that was made and never started, as it was made; from now on it is the caller's to look after."""
        with self._guard:
            making = self._making.pop(name, None)
        return making.made if making is not None and self._finished(making) else None

    def settle(self, run_id: str) -> None:
        """Nothing is being made for the run any more; what was made is there for whoever removes its sandboxes."""
        with self._guard:
            names = [name for name, making in self._making.items() if making.run_id == run_id]
            ended = [self._making.pop(name) for name in names]
        for making in ended:
            self._finished(making)

    def _make(self, making: _Making, recipe: Callable[[], SandboxSpec | None]) -> None:
        try:
            spec = recipe()
            if spec is None:
                return
            self.containers.remove(spec.name)  # whatever an interrupted try left
            self.containers.ready(spec)
            making.made = spec
        except (RunnerError, OSError):
            _LOG.info("a sandbox was not made ahead; it is made when it is due", exc_info=True)

    def _finished(self, making: _Making) -> bool:
        if making.thread is None:
            return False
        making.thread.join(_SETTLE_S)
        if making.thread.is_alive():
            _LOG.warning("a sandbox takes long to be made", extra={"run": making.run_id})
        return not making.thread.is_alive()
