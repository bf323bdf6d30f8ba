"""How a defence is taken out: an attribute of the real code replaced while a block lasts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

_OURS = ("mcp_ashigaru", "runner", "gates")


@contextmanager
def replaced(*changes: tuple[Any, str, Any]) -> Iterator[None]:
    """Each (owner, attribute, new value), and back again. Raises AttributeError where there is no such attribute."""
    before = [
        (owner, name, vars(owner)[name] if name in vars(owner) else getattr(owner, name)) for owner, name, _ in changes
    ]
    try:
        for owner, name, value in changes:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


def out(owner: Any, attribute: str, value: Any) -> Callable[[], AbstractContextManager[None]]:
    """Takes one attribute's place."""
    return lambda: replaced((owner, attribute, value))


def out_everywhere(original: Any, value: Any) -> Callable[[], AbstractContextManager[None]]:
    """Takes the place of a function or constant in every module of ours that imported it by name."""

    def places() -> list[tuple[Any, str, Any]]:
        modules = [module for name, module in list(sys.modules.items()) if name.split(".", 1)[0] in _OURS]
        found = [(module, name, value) for module in modules for name, held in vars(module).items() if held is original]
        if not found:
            raise AttributeError(f"nothing of ours holds {original!r}")
        return found

    return lambda: replaced(*places())


def answering(value: Any) -> Callable[..., Any]:
    """A function that says that, whatever it is asked."""
    return lambda *_arguments, **_named: value
