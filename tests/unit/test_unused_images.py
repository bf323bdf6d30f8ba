"""Which images go: those of ours that newer ones have taken the place of, and nobody else's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runner.errors import EngineDown
from runner.images.unused import UnusedImages, unused
from runner.retention import Kind, Thing

KEPT = {"localhost/ashigaru/agent:new", "localhost/ashigaru/agent:latest"}


def image(image_id: str, *names: str, created: int = 5, size: int = 100) -> dict[str, Any]:
    """As `podman images --format json` has it: one without a name has no Names at all."""
    told: dict[str, Any] = {"Id": image_id, "Created": created, "Size": size, "Containers": 0}
    return told | ({"Names": list(names)} if names else {})


LISTED = [
    image("1" * 64),
    image("2" * 64, "localhost/ashigaru/agent:old"),
    image("3" * 64, "localhost/ashigaru/agent:new", "localhost/ashigaru/agent:latest"),
    image("4" * 64, "localhost/ashigaru/gate:old", "docker.io/library/debian:12"),
    image("5" * 64, "docker.io/library/redis:7"),
]


def test_what_has_no_name_and_old_names_of_ours_go() -> None:
    found = list(unused(json.dumps(LISTED), KEPT))
    assert [(one.name, one.bytes, one.used_at) for one in found] == [
        ("1" * 64, 100, 5.0),
        ("localhost/ashigaru/agent:old", 100, 5.0),
    ]


@settings(max_examples=40, deadline=None)
@given(
    st.recursive(
        st.none() | st.integers() | st.text("ab/:", max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(("Id", "Names", "Created", "Size")), inner, max_size=4)
        ),
        max_leaves=8,
    )
)
@example([{"Id": "a", "Names": 1, "Created": 1, "Size": 1}])
@example([{"Id": "a", "Names": None, "Created": 10**400, "Size": 1}])
def test_whatever_podman_says_is_read_without_a_fault(said: object) -> None:
    assert all(one.kind is Kind.IMAGE for one in unused(json.dumps(said), KEPT))
    assert list(unused("no json", KEPT)) == []


def podman_that(tmp_path: Path, script: str) -> UnusedImages:
    """A stand-in for podman's command line."""
    stub = tmp_path / "podman"
    stub.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    stub.chmod(0o755)
    return UnusedImages(podman=(str(stub),), used=frozenset({"localhost/ashigaru/agent:mine"}))


def test_what_the_settings_name_stays(tmp_path: Path) -> None:
    listed = tmp_path / "listed"
    named = [image("1" * 64, "localhost/ashigaru/agent:mine"), image("2" * 64, "localhost/ashigaru/agent:other")]
    listed.write_text(json.dumps(named), encoding="utf-8")
    stock = podman_that(tmp_path, f'[ "$1" = images ] && cat {listed}')
    assert [one.name for one in stock.things()] == ["localhost/ashigaru/agent:other"]


@pytest.mark.parametrize(("status", "gone"), [(0, True), (1, True), (2, False)])
def test_an_image_that_a_container_uses_stays(tmp_path: Path, status: int, gone: bool) -> None:  # noqa: FBT001 - a case
    thing = Thing(kind=Kind.IMAGE, name="1" * 64, used_at=0.0)
    assert podman_that(tmp_path, f"exit {status}").put_away(thing) == gone


def test_a_podman_that_does_not_work_is_told(tmp_path: Path) -> None:
    thing = Thing(kind=Kind.IMAGE, name="1" * 64, used_at=0.0)
    with pytest.raises(EngineDown):
        podman_that(tmp_path, "exit 125").put_away(thing)
    with pytest.raises(EngineDown):
        list(UnusedImages(podman=(str(tmp_path / "none"),), used=frozenset()).things())
