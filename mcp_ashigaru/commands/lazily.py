"""Commands that are found by name: a command line loads the one that is asked for, and nothing of the others."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup
from typer.main import get_group


@dataclass(frozen=True, kw_only=True)
class Named:
    """A command, or a group of them: its line in the help, and where it is, as `module:attribute`."""

    at: str
    line: str


def loaded(at: str) -> Any:
    """What `module:attribute` names. Its module is imported now, if it was not."""
    module, _, attribute = at.partition(":")
    return getattr(importlib.import_module(module), attribute)


class Lazily(TyperGroup):
    """A group whose commands are listed by `named`, in that order, and loaded one at a time."""

    named: ClassVar[Mapping[str, Named]]

    def __init__(self, **given: Any) -> None:
        """See TyperGroup, which is given no commands."""
        super().__init__(**given)
        self.commands = _Loading(self.named)

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the group's signature
        """The names, in the order of the table."""
        return list(self.named)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - the group's signature
        """The help's list of commands, without loading any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, one.line) for name, one in self.named.items()])


class _Loading(MutableMapping[str, Any]):
    """Commands by name; to look one up is to load it."""

    def __init__(self, named: Mapping[str, Named]) -> None:
        self._named = named
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded[name] = _command(name, loaded(self._named[name].at))
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._named)

    def __len__(self) -> int:
        return len(self._named)


def _command(name: str, what: Any) -> Any:
    """The command line's command of a function, or of a Typer."""
    alone = typer.Typer(rich_markup_mode=None)
    alone.callback()(lambda: None)
    if isinstance(what, typer.Typer):
        alone.add_typer(what, name=name)
    else:
        alone.command(name)(what)
    return get_group(alone).commands[name]
