"""What every `Forge` promises of repositories and pull requests."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from runner.adapters.git_checkouts import GitCheckouts
from runner.errors import UnknownRepo
from runner.model import Check, CheckState, Merged, MergeRefused, PullState
from tests.contract.forge_rig import REPO, Rig, draft


def test_a_repository_nobody_added_is_unknown(rig: Rig) -> None:
    forge, nowhere = rig.forge, "acme/nothing"
    check = Check(name="ci", state=CheckState.FAILED)
    asks: tuple[Callable[[], object], ...] = (
        lambda: forge.remote(nowhere),
        lambda: forge.default_branch(nowhere),
        lambda: forge.tip(nowhere, "main"),
        lambda: forge.required_checks(nowhere, "main"),
        lambda: forge.open_pull(replace(draft(), repo=nowhere)),
        lambda: forge.ready(nowhere, 1),
        lambda: forge.pull(nowhere, 1),
        lambda: forge.checks(nowhere, "0" * 40),
        lambda: forge.check_log(nowhere, check, 100),
        lambda: forge.set_check(nowhere, "0" * 40, "ci", CheckState.PASSED, ""),
        lambda: forge.remarks(nowhere, 1),
        lambda: forge.say(nowhere, 1, "k", "Hello."),
    )
    for ask in asks:
        with pytest.raises(UnknownRepo):
            ask()


def test_a_remote_takes_fetches_and_pushes(rig: Rig, tmp_path: Path) -> None:
    remote = rig.forge.remote(REPO)
    assert remote.password is not None
    assert remote.password not in remote.url
    checkouts = GitCheckouts(tmp_path / "checkouts", name="A", email="a@example.org", timeout_s=60)
    checkouts.refresh(REPO, remote)
    head = checkouts.branch_head(REPO, rig.forge.default_branch(REPO))
    assert head == rig.tip("main")
    assert head is not None
    checkouts.clone("run-1", REPO)
    candidate = checkouts.commit("run-1", head, head, (), "empty")
    checkouts.push("run-1", remote, candidate.commit, "ashigaru/run-1")
    assert rig.tip("ashigaru/run-1") == candidate.commit


def test_a_pull_request_is_opened_and_read(rig: Rig) -> None:
    head = rig.branch("work", a="changed\n")
    pull = rig.forge.open_pull(draft())
    assert pull == rig.forge.pull(REPO, pull.number)
    assert (pull.title, pull.body, pull.draft, pull.state) == ("Fix it", "Why.", False, PullState.OPEN)
    assert (pull.head_branch, pull.head_sha, pull.base_branch) == ("work", head, "main")
    assert pull.base_sha == rig.tip("main")
    assert pull.mergeable is not False
    assert pull.merged_sha is None
    assert rig.forge.pull(REPO, 9999) is None


def test_the_pull_request_of_a_branch_is_found_whatever_became_of_it(rig: Rig) -> None:
    assert rig.forge.pull_of(REPO, "work") is None
    pull = rig.opened()
    rig.branch("other", a="other\n")
    rig.forge.open_pull(draft("other"))
    found = rig.forge.pull_of(REPO, pull.head_branch)
    assert found is not None
    assert replace(found, mergeable=None) == replace(pull, mergeable=None)
    merged = rig.forge.merge(rig.reviewed(pull), title="t", body="")
    assert isinstance(merged, Merged)
    after = rig.forge.pull_of(REPO, pull.head_branch)
    assert after is not None
    assert (after.number, after.state, after.merged_sha) == (pull.number, PullState.MERGED, merged.sha)


def test_opening_twice_gives_the_same_pull_request_brought_up_to_date(rig: Rig) -> None:
    rig.branch("work", a="changed\n")
    first = rig.forge.open_pull(draft(is_draft=True))
    second = rig.forge.open_pull(draft(title="Better"))
    assert second.number == first.number
    assert (first.draft, second.draft, second.title) == (True, False, "Better")


def test_two_branches_have_two_pull_requests(rig: Rig) -> None:
    rig.branch("one", a="1\n")
    rig.branch("two", a="2\n")
    numbers = {rig.forge.open_pull(draft(head)).number for head in ("one", "two", "one", "two")}
    assert len(numbers) == 2


def test_a_pull_request_s_head_and_base_follow_what_is_pushed(rig: Rig) -> None:
    rig.branch("work", a="changed\n")
    number = rig.forge.open_pull(draft()).number
    head = rig.branch("work", a="changed again\n")
    base = rig.main(b="moved\n")
    pull = rig.forge.pull(REPO, number)
    assert pull is not None
    assert (pull.head_sha, pull.base_sha) == (head, base)


def test_a_pull_request_has_the_labels_asked_for(rig: Rig) -> None:
    number = rig.opened(labels=("ashigaru", "ashigaru: waits")).number
    assert rig.others.labels(number) == {"ashigaru", "ashigaru: waits"}


def test_opening_again_changes_labels_of_ours_and_no_others(rig: Rig) -> None:
    number = rig.opened(labels=("ashigaru", "ashigaru: waits")).number
    rig.others.label(number, "urgent")
    rig.forge.open_pull(draft(labels=("ashigaru", "ashigaru: done")))
    assert rig.others.labels(number) == {"ashigaru", "ashigaru: done", "urgent"}
    rig.forge.open_pull(draft())
    assert rig.others.labels(number) == {"urgent"}


def test_a_draft_made_ready_twice_is_ready_and_has_lost_the_labels_named(rig: Rig) -> None:
    number = rig.opened(is_draft=True, labels=("ashigaru", "ashigaru: waits")).number
    rig.others.label(number, "urgent")
    for _ in range(2):
        rig.forge.ready(REPO, number, drop_labels=("ashigaru: waits",))
        pull = rig.forge.pull(REPO, number)
        assert pull is not None
        assert (pull.draft, pull.state) == (False, PullState.OPEN)
        assert rig.others.labels(number) == {"ashigaru", "urgent"}


def test_a_pull_request_that_was_no_draft_is_as_ready_as_before(rig: Rig) -> None:
    pull = rig.opened(labels=("ashigaru",))
    rig.forge.ready(REPO, pull.number)
    assert rig.forge.pull(REPO, pull.number) == pull
    assert rig.others.labels(pull.number) == {"ashigaru"}


def test_a_pull_request_can_be_a_draft_again(rig: Rig) -> None:
    number = rig.opened().number
    assert rig.forge.open_pull(draft(is_draft=True)).number == number
    pull = rig.forge.pull(REPO, number)
    assert pull is not None
    assert pull.draft


def test_a_closed_pull_request_is_told_so_and_not_merged(rig: Rig) -> None:
    pull = rig.opened()
    before = rig.tip("main")
    rig.others.close(pull.number)
    seen = rig.forge.pull(REPO, pull.number)
    assert seen is not None
    assert (seen.state, seen.head_sha, seen.merged_sha) == (PullState.CLOSED, pull.head_sha, None)
    assert isinstance(rig.forge.merge(rig.reviewed(pull), "Fix it", ""), MergeRefused)
    assert rig.tip("main") == before


def test_the_branch_of_a_closed_pull_request_gets_another(rig: Rig) -> None:
    first = rig.opened()
    rig.others.close(first.number)
    second = rig.forge.open_pull(draft())
    assert second.number != first.number
    assert second.state is PullState.OPEN


def test_a_pull_request_from_a_fork_is_none(rig: Rig) -> None:
    for number in rig.others.forks():
        assert rig.forge.pull(REPO, number) is None


def test_a_repository_that_cannot_be_worked_is_refused_with_its_cure(rig: Rig) -> None:
    refused = rig.others.unworkable()
    assert refused
    for one in refused:
        with pytest.raises(one.fault, match=re.escape(one.cure)):
            rig.forge.default_branch(one.repo)


def test_a_branch_is_at_its_last_commit_and_one_that_is_not_there_is_at_none(rig: Rig) -> None:
    first = rig.tip("main")
    assert rig.forge.tip(REPO, "main") == first
    second = rig.main(more="1")
    assert rig.forge.tip(REPO, "main") == second != first
    assert rig.forge.tip(REPO, "nowhere") is None
