"""An operator's list of repositories, through the whole daemon: what is not on it is written to by nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcp_ashigaru.client import CallRefused
from runner.sandbox import LABEL_RUN
from tests.story.house import git
from tests.story.scenes import RIGHT, WRONG, bare, house_of, passes_when, writes

pytestmark = pytest.mark.slow


def test_a_ticket_for_a_repository_that_is_not_on_the_list_is_refused(state: Path, source: Path) -> None:
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    house.changes = {"repos": ("Gadgets",)}
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        foreman.daemon.forge.add(str(source), "gadgets")
        with pytest.raises(CallRefused, match="ASHIGARU_REPOS"):
            foreman.work(repo="widgets")
        assert foreman.at_rest(foreman.work(repo="gadgets"))["phase"] == "awaiting_review"
    runs = {dict(spec.labels)[LABEL_RUN].split("-")[0] for spec in house.containers.started}
    assert runs == {"gadgets"}


def test_a_repository_taken_off_the_list_is_written_to_no_more(state: Path, source: Path) -> None:
    house = house_of(state, {1: writes(RIGHT)}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(str(source), "widgets")
        under_review = foreman.work()
        assert foreman.at_rest(under_review)["phase"] == "awaiting_review"
    before = git(bare(state), "for-each-ref")
    again = house_of(state, {1: writes(WRONG)}, passes_when(RIGHT))
    again.changes = {"repos": ("gadgets",)}
    with again.daemon() as foreman:
        for tool, arguments in (
            ("promote", {"repo": "widgets", "pr": 1}),
            ("request_changes", {"run_id": under_review, "notes": "More."}),
        ):
            with pytest.raises(CallRefused, match="ASHIGARU_REPOS"):
                foreman.call(tool, **arguments)
        foreman.call("cancel", run_id=under_review)
        with pytest.raises(CallRefused, match="ASHIGARU_REPOS"):
            foreman.call("retry", run_id=under_review)
        assert foreman.call("status", run_id=under_review)["phase"] == "cancelled"
    assert again.containers.started == []
    assert git(bare(state), "for-each-ref") == before
