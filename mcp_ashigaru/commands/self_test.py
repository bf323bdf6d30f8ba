"""`mcp-ashigaru doctor --self-test`: what a sandbox finds of this host, asserted from inside every kind of it."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

import typer

from mcp_ashigaru.commands.telling import say
from mcp_ashigaru.doctor import look_at_podman
from mcp_ashigaru.host_limits import unenforceable
from mcp_ashigaru.secrecy import marked_of
from mcp_ashigaru.settings import Settings
from mcp_ashigaru.walls import ground_here, podman_argv
from runner.errors import EngineDown
from runner.leaks import Watchlist
from runner.seal.assertions import Checked, Host, Result
from runner.seal.places import SHOWN, Place
from runner.seal.self_test import self_test

BROKEN: Final = 1
_HEADS: Final = ("what", "asserted from inside", "result")


def report(settings: Settings, *, as_json: bool) -> int:
    """Print what holds, what is broken and what this host does not enforce; 0 if nothing is broken, else 1.

    Raises EngineDown, ImageMissing, CheckoutFault; then nothing was asserted.
    """
    info = look_at_podman(podman_argv(settings))
    if isinstance(info, str):
        raise EngineDown(f"Podman {info}; run `mcp-ashigaru doctor` and follow it.")
    with ground_here(settings) as ground:
        marked = marked_of(settings)
        own = Watchlist(marked)
        checked = tuple(
            _kept_in(own, one)
            for one in self_test(
                ground,
                host=Host.told(info),
                unenforceable=unenforceable(info, platform.release()),
                secrets=tuple(one.value.strip() for one in marked),
                told=lambda line: typer.echo(line, err=True),
            )
        )
    host = host_of(info)
    say(value(checked, host)) if as_json else typer.echo(table(checked, host))
    return BROKEN if any(one.result is Result.BROKEN for one in checked) else 0


def _kept_in(own: Watchlist, one: Checked) -> Checked:
    """The same, without what was seen where one of our own secrets stands in it: the answer goes to whoever asks."""
    leak = own.find(one.saw)
    return one if leak is None else replace(one, saw=f"what was seen holds {leak}; it is not shown")


def host_of(info: dict[str, Any]) -> dict[str, str]:
    """What was looked at, in words: of `podman info`, and the kernel's release."""
    host = info.get("host") or {}
    security = host.get("security") or {}
    return {
        "podman": str((info.get("version") or {}).get("Version", "unknown")),
        "rootless": "yes" if security.get("rootless") else "no",
        "runtime": str((host.get("ociRuntime") or {}).get("name", "unknown")),
        "cgroups": str(host.get("cgroupVersion", "unknown")),
        "controllers": ",".join(host.get("cgroupControllers") or ()) or "none",
        "selinux": "on" if security.get("selinuxEnabled") else "off",
        "apparmor": "on" if security.get("apparmorEnabled") else "off",
        "kernel": platform.release(),
    }


def value(checked: Sequence[Checked], host: dict[str, str]) -> dict[str, Any]:
    """The whole answer as one JSON value."""
    return {"host": host, "counts": counts(checked), "checks": [asdict(one) for one in checked]}


def counts(checked: Iterable[Checked]) -> dict[str, int]:
    """How many assertions came to each result."""
    found = [one.result for one in checked]
    return {"asserted": len(found), **{result.name.lower(): found.count(result) for result in Result}}


def table(checked: Sequence[Checked], host: dict[str, str]) -> str:
    """The answer for a terminal: a line for each assertion and result, with the places that it came to."""
    merged: dict[tuple[str, Result, str], list[str]] = {}
    for one in checked:
        merged.setdefault((one.asserted, one.result, one.saw), []).append(one.place)
    rows = [
        (_places(asserted, places), asserted, f"{result.value}: {saw}" if saw else result.value)
        for (asserted, result, saw), places in merged.items()
    ]
    wide = [max(len(row[column]) for row in (*rows, _HEADS)) for column in (0, 1)]
    line: Callable[[Sequence[str]], str] = lambda row: f"{row[0]:<{wide[0]}} | {row[1]:<{wide[1]}} | {row[2]}"  # noqa: E731
    said = " ".join(f"{name}={count}" for name, count in counts(checked).items())
    on = ", ".join(f"{name} {told}" for name, told in host.items())
    return "\n".join((line(_HEADS), *(line(row) for row in rows), "", f"on: {on}", f"self-test: {said}"))


def _places(asserted: str, places: Sequence[str]) -> str:
    if set(places) == set(Place):
        return "every sandbox"
    made_at = {place for place in Place if asserted not in SHOWN[place].without}
    if set(places) == made_at and len(Place) - len(made_at) == 1:
        return f"all but {next(iter(set(Place) - made_at))}"
    return ", ".join(places)
