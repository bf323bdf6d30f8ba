"""A mirror is thrown away only where it was looked through and found broken."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from runner.adapters.git_command import Reply
from runner.adapters.git_mending import fetch_or_mend
from runner.adapters.git_plumbing import BareRepository
from runner.errors import CheckoutFault, ForgeDown
from runner.model import Remote


@dataclass(kw_only=True)
class Mirror:
    """A mirror whose remote answers. found: what looking through it ends with, or raises."""

    place: Path
    found: Reply | CheckoutFault
    created: int = 0
    git: Any = field(init=False)

    def __post_init__(self) -> None:
        self.git = self
        self.place.mkdir()

    def run(self, _task: object) -> None:
        pass

    def ask(self, *_arguments: str, deed: str, statuses: frozenset[int]) -> Reply:
        if isinstance(self.found, CheckoutFault):
            raise self.found
        assert self.found.status in statuses, deed
        return self.found

    def create(self) -> None:
        self.created += 1


@pytest.mark.parametrize(
    ("found", "anew"),
    [
        (CheckoutFault("It took longer than it may."), 0),
        (Reply(status=0, out=b"", err=""), 0),
        (Reply(status=2, out=b"", err="missing blob"), 1),
        (Reply(status=128, out=b"", err="not a git repository"), 1),
    ],
    ids=["too slow", "sound", "broken", "gone"],
)
def test_a_mirror_is_made_anew_only_where_it_was_found_broken(
    tmp_path: Path, found: Reply | CheckoutFault, anew: int
) -> None:
    mirror = Mirror(place=tmp_path / "m.git", found=found)

    def fetch() -> None:
        if not mirror.created:
            raise ForgeDown("The fetch was cut off.")

    told = (cast("BareRepository", mirror), Remote(url="file:///nowhere"), fetch)
    if anew:
        fetch_or_mend(*told)
    else:
        with pytest.raises(ForgeDown):
            fetch_or_mend(*told)
    assert (mirror.created, mirror.place.exists()) == (anew, not anew)
