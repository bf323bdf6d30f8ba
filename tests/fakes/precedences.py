"""A precedence that tells whether something was put off."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from runner.ports import Clock
from runner.precedence import Precedence


class Putting(Precedence):
    """The real one, which counts. some: set as soon as something that was put off is done."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.put_off = 0
        self.some = threading.Event()

    @contextmanager
    def after(self) -> Iterator[None]:
        self.put_off += 1
        with super().after():
            yield
        self.some.set()
