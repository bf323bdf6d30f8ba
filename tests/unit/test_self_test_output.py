"""What `doctor --self-test` prints where a sandbox has one of the daemon's secrets: where it is, never itself."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from mcp_ashigaru.commands import self_test as command
from mcp_ashigaru.settings import Settings, load_settings
from runner.sandboxes import SandboxSpec
from runner.seal.looking import Ground
from runner.seal.places import Place
from runner.seal.self_test import LOOKED_AT
from tests.fakes.behaviours import Behaviour, Ended, Inside
from tests.fakes.containers import FakeContainers
from tests.unit.test_seal import finds, ground

KEY = "sk-ant-api03-" + "Ab3dEf6hIj9kLm2nOp5q" * 4
HALF = len(KEY) // 2


def leaky(place: Place, seen: dict[str, Any]) -> None:
    """The key is in every process of a gate's sandbox."""
    if place is Place.GATE:
        seen["environ"]["ANTHROPIC_API_KEY"] = KEY
        seen["said"]["/proc/1/environ"] = f"HOME=/tmp\0ANTHROPIC_API_KEY={KEY}\0"


def dies(said: str) -> FakeContainers:
    """Sandboxes that say so much of themselves, and end."""

    def behaviour(_spec: SandboxSpec) -> Behaviour:
        def lives(inside: Inside) -> Ended:
            inside.say(said.encode("utf-8"))
            return Ended(code=1)

        return lives

    return FakeContainers(behaviour)


@pytest.fixture
def settings() -> Iterator[Settings]:
    with tempfile.TemporaryDirectory(prefix="ash") as made:
        yield load_settings(state_dir=Path(made), anthropic_api_key=SecretStr(KEY))


@pytest.fixture
def printed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[FakeContainers], tuple[dict[str, Any], str]]:
    """What the command comes to with those sandboxes: its JSON, and all that it prints as a table and beside it."""

    def of(containers: FakeContainers) -> tuple[dict[str, Any], str]:
        @contextmanager
        def here(_settings: Settings) -> Iterator[Ground]:
            home = settings.state_dir / "home"
            home.mkdir(exist_ok=True)
            yield ground(containers, home)

        monkeypatch.setattr(command, "ground_here", here)
        monkeypatch.setattr(command, "look_at_podman", lambda _argv: {})
        assert command.report(settings, as_json=True) == command.BROKEN
        as_json = capsys.readouterr()
        assert command.report(settings, as_json=False) == command.BROKEN
        as_table = capsys.readouterr()
        return json.loads(as_json.out), "".join((*as_json, *as_table))

    return of


def test_a_secret_that_stands_in_a_sandbox_is_told_by_its_place_and_not_shown(
    printed: Callable[[FakeContainers], tuple[dict[str, Any], str]],
) -> None:
    told, everything = printed(finds(leaky))
    wrong = {one["asserted"]: one["saw"] for one in told["checks"] if one["result"] == "BROKEN"}
    assert "ANTHROPIC_API_KEY" in wrong["no variable but the recipe's"]
    assert "/proc/1/environ" in wrong["no credential of the daemon's"]
    assert KEY[:HALF] not in everything
    assert KEY[HALF:] not in everything


@pytest.mark.parametrize("after", [" bye", " and" + " so" * 50, "x" * 190])
def test_a_secret_among_the_last_words_of_a_probe_that_failed_is_not_shown(
    printed: Callable[[FakeContainers], tuple[dict[str, Any], str]], after: str
) -> None:
    told, everything = printed(dies(f"ANTHROPIC_API_KEY={KEY}{after}"))
    assert "gate" in {one["place"] for one in told["checks"] if one["asserted"] == LOOKED_AT}
    # Not even what is left of it when the last words are cut.
    assert KEY[-10:] not in everything
