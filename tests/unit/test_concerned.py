"""Which gates a change is asked by."""

from __future__ import annotations

import pytest

from gates.concerned import concerned
from gates.ecosystem import Gate


def gate(name: str, *paths: str, needs: tuple[str, ...] = (), required: bool = True) -> Gate:
    return Gate(name=name, run="x", junit=None, timeout_s=1, paths=paths, needs=needs, required=required)


GATES = (
    gate("links", "**", required=False),
    gate("lint"),
    gate("build", "native/**"),
    gate("api", "api/**", needs=("build",)),
    gate("web", "web/**", "*.json", needs=("api",)),
)


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (("README.md",), "links lint"),
        (("api/a.py",), "links lint build api"),
        (("package.json",), "links lint build api web"),
        (("native/x.c", "web"), "links lint build"),
    ],
)
def test_a_gate_is_asked_where_its_paths_are_touched_and_so_is_what_it_needs(
    paths: tuple[str, ...], names: str
) -> None:
    assert " ".join(one.name for one in concerned(GATES, paths)) == names


@pytest.mark.parametrize("paths", [("README.md",), ()])
def test_a_change_that_no_required_gate_is_for_is_asked_by_all(paths: tuple[str, ...]) -> None:
    gates = (gate("docs", "**", required=False), gate("api", "api/**"))
    assert concerned(gates, paths) == gates
