"""What every `Forge` promises. Another forge joins by one more entry in `tests.contract.forge_rig.FORGES`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runner.adapters.git_checkouts import GitCheckouts
from runner.errors import Rejected, UnknownRepo
from runner.model import Check, CheckState, Merged, MergeRefused, PullState, RequiredCheck
from runner.remarks import Remark, RemarkKind, Stance
from tests.contract.forge_rig import FORGES, REPO, Report, Rig, Spoken, draft
from tests.contract.github_rig import github
from tests.git_rig import git

ALL = {**FORGES, "github": github}


@pytest.fixture(params=ALL)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    with ALL[request.param](tmp_path) as made:
        yield made


# --- the port --------------------------------------------------------------------------------------------------


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


def told(checks: tuple[Check, ...]) -> list[tuple[str, str, CheckState]]:
    return [(check.source, check.name, check.state) for check in checks]


def test_checks_are_set_changed_and_sorted(rig: Rig) -> None:
    head = rig.branch("work", a="changed\n")
    assert rig.forge.checks(REPO, head) == ()
    rig.forge.set_check(REPO, head, "lint", CheckState.PASSED, "clean")
    rig.forge.set_check(REPO, head, "gate", CheckState.PENDING, "")
    rig.forge.set_check(REPO, head, "gate", CheckState.FAILED, "2 failed")
    rig.forge.set_check(REPO, head, "gate", CheckState.FAILED, "2 failed")
    seen = rig.forge.checks(REPO, head)
    assert told(seen) == [(rig.source, "gate", CheckState.FAILED), (rig.source, "lint", CheckState.PASSED)]
    assert [check.summary for check in seen] == ["2 failed", "clean"]
    assert rig.forge.checks(REPO, rig.tip("main") or "") == ()


def test_of_every_check_the_latest_of_each_source_is_told(rig: Rig) -> None:
    head = rig.branch("work", a="changed\n")
    others = rig.others
    for state in (CheckState.PENDING, CheckState.FAILED, CheckState.PASSED):
        others.report(head, Report(name="test", state=state, source=others.ci))
    others.report(head, Report(name="test", state=CheckState.FAILED, source=others.other_ci))
    rig.forge.set_check(REPO, head, "gate", CheckState.PASSED, "")
    seen = rig.forge.checks(REPO, head)
    assert [check.name for check in seen] == ["gate", "test", "test"]
    assert set(told(seen)) == {
        (rig.source, "gate", CheckState.PASSED),
        (others.ci, "test", CheckState.PASSED),
        (others.other_ci, "test", CheckState.FAILED),
    }


@pytest.mark.parametrize("state", CheckState)
def test_a_check_of_others_is_told_in_its_state(rig: Rig, state: CheckState) -> None:
    head = rig.branch("work", a="changed\n")
    rig.others.report(head, Report(name="test", state=state, source=rig.others.ci))
    assert told(rig.forge.checks(REPO, head)) == [(rig.others.ci, "test", state)]


LOG = "".join(f"line {n} of the log, Ünïcödé\n" for n in range(200))


def failed(rig: Rig, *, summary: str = "", log: str = "") -> Check:
    head = rig.branch("work", a="changed\n")
    report = Report(name="test", state=CheckState.FAILED, source=rig.others.ci, summary=summary, log=log)
    rig.others.report(head, report)
    (check,) = rig.forge.checks(REPO, head)
    return check


@pytest.mark.parametrize("max_bytes", [1, 2, 30, 31, 32, 33, 1000])
def test_the_end_of_a_check_s_log_is_told_within_its_bound(rig: Rig, max_bytes: int) -> None:
    log = rig.forge.check_log(REPO, failed(rig, log=LOG), max_bytes)
    assert len(log.encode()) <= max_bytes
    assert LOG.rstrip().endswith(log.rstrip())
    assert len(log.encode()) >= max_bytes - 3


def test_a_short_log_is_told_whole(rig: Rig) -> None:
    log = rig.forge.check_log(REPO, failed(rig, summary="1 failed", log="E  one is not two\n"), 10_000)
    assert log.strip() == "E  one is not two"


def test_a_check_without_a_log_tells_its_summary_within_the_bound(rig: Rig) -> None:
    check = failed(rig, summary="1 test failed")
    assert "1 test failed" in rig.forge.check_log(REPO, check, 10_000)
    assert len(rig.forge.check_log(REPO, check, 5).encode()) <= 5


def test_a_check_that_left_no_word_tells_nothing(rig: Rig) -> None:
    assert rig.forge.check_log(REPO, failed(rig), 10_000) == ""


def test_what_a_branch_requires_is_told_sorted(rig: Rig) -> None:
    assert rig.forge.required_checks(REPO, "main") == ()
    rig.others.require("main", ("test", "lint"))
    assert rig.forge.required_checks(REPO, "main") == (RequiredCheck(name="lint"), RequiredCheck(name="test"))
    assert rig.forge.required_checks(REPO, "work") == ()


# --- labels, drafts, endings -----------------------------------------------------------------------------------


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


# --- what is said ----------------------------------------------------------------------------------------------


def only(rig: Rig, number: int) -> Remark:
    (remark,) = rig.forge.remarks(REPO, number)
    return remark


def test_nothing_was_said_of_a_new_pull_request(rig: Rig) -> None:
    assert rig.forge.remarks(REPO, rig.opened().number) == ()


def test_a_comment_is_a_remark(rig: Rig) -> None:
    number = rig.opened().number
    rig.others.comment(number, "Why not `two`?\n\nIt is <b>shorter</b>.")
    remark = only(rig, number)
    assert (remark.kind, remark.author, remark.may_ask) == (RemarkKind.COMMENT, rig.others.person, True)
    assert remark.body == "Why not `two`?\n\nIt is <b>shorter</b>."
    assert (remark.stance, remark.path, remark.line) == (Stance.COMMENTED, None, None)
    assert remark.at > 1_000_000_000
    assert re.fullmatch(r"[a-z0-9:_-]{1,64}", remark.id)


@pytest.mark.parametrize("stance", Stance)
def test_a_review_with_a_text_is_a_remark_with_its_stance(rig: Rig, stance: Stance) -> None:
    number = rig.opened().number
    rig.others.review(number, stance, "I have read it.")
    remark = only(rig, number)
    assert (remark.kind, remark.stance, remark.body) == (RemarkKind.REVIEW, stance, "I have read it.")
    assert (remark.author, remark.may_ask, remark.path, remark.line) == (rig.others.person, True, None, None)


def test_an_approval_without_a_text_is_no_remark(rig: Rig) -> None:
    number = rig.opened().number
    rig.others.review(number, Stance.APPROVED, "")
    assert rig.forge.remarks(REPO, number) == ()


def test_a_remark_on_a_line_tells_where(rig: Rig) -> None:
    number = rig.opened().number
    rig.others.comment_line(number, "a", 1, "Spell it out.")
    remark = only(rig, number)
    assert (remark.kind, remark.path, remark.line, remark.body) == (RemarkKind.LINE, "a", 1, "Spell it out.")
    assert (remark.author, remark.may_ask, remark.stance) == (rig.others.person, True, Stance.COMMENTED)


def test_a_remark_on_a_line_loses_it_when_the_diff_moves_on(rig: Rig) -> None:
    number = rig.opened().number
    rig.others.comment_line(number, "a", 1, "Spell it out.")
    before = only(rig, number)
    rig.branch("work", a="altogether\ndifferent\n")
    assert only(rig, number) == replace(before, line=None)


def test_remarks_are_told_oldest_first_and_keep_their_ids(rig: Rig) -> None:
    number = rig.opened().number
    rig.others.comment(number, "first")
    rig.others.comment_line(number, "a", 1, "second")
    rig.others.review(number, Stance.CHANGES_REQUESTED, "third")
    before = rig.forge.remarks(REPO, number)
    rig.others.comment(number, "fourth")
    after = rig.again().remarks(REPO, number)
    assert [remark.body for remark in after] == ["first", "second", "third", "fourth"]
    assert after[:3] == before
    assert len({remark.id for remark in after}) == 4
    assert [remark.at for remark in after] == sorted(remark.at for remark in after)


def test_of_many_remarks_the_newest_three_hundred_are_told(rig: Rig) -> None:
    number = rig.opened().number
    for n in range(302):
        rig.others.comment(number, f"remark {n}")
    assert [remark.body for remark in rig.forge.remarks(REPO, number)] == [f"remark {n}" for n in range(2, 302)]


def test_who_may_not_ask_is_told_apart(rig: Rig) -> None:
    number = rig.opened().number
    rig.others.comment(number, "I may.")
    strangers = rig.others.strangers(number)
    assert {remark.body: remark.may_ask for remark in rig.forge.remarks(REPO, number)} == {
        "I may.": True,
        **dict.fromkeys(strangers, False),
    }


def test_remarks_stay_with_their_pull_request(rig: Rig) -> None:
    first = rig.opened().number
    rig.branch("other", b="changed\n")
    second = rig.forge.open_pull(draft("other")).number
    rig.others.comment(first, "Of the first.")
    rig.forge.say(REPO, second, "k", "Of the second.")
    assert rig.forge.remarks(REPO, second) == ()
    assert [said.body for said in rig.others.said(first)] == ["Of the first."]


def ours(rig: Rig, number: int) -> list[Spoken]:
    return [said for said in rig.others.said(number) if said.ours]


def test_what_we_say_is_there_as_given_and_no_remark(rig: Rig) -> None:
    number = rig.opened().number
    rig.forge.say(REPO, number, "round:1", "Done in *abc*.\n\n- one & two")
    (said,) = ours(rig, number)
    assert "Done in *abc*.\n\n- one & two" in said.body
    assert said.answers is None
    assert rig.forge.remarks(REPO, number) == ()


def test_saying_it_twice_is_saying_it_once(rig: Rig) -> None:
    number = rig.opened().number
    rig.forge.say(REPO, number, "round:1", "Done.")
    rig.forge.say(REPO, number, "round:1", "Other words.")
    (said,) = ours(rig, number)
    assert "Done." in said.body


def test_another_key_is_another_comment(rig: Rig) -> None:
    number = rig.opened().number
    for key in ("round:1", "round:10", "round:1:x", "a" * 80, "round_1-2"):
        rig.forge.say(REPO, number, key, "Done.")
    assert len(ours(rig, number)) == 5


def test_what_was_said_before_a_restart_is_not_said_again(rig: Rig) -> None:
    number = rig.opened().number
    rig.others.comment_line(number, "a", 1, "Spell it out.")
    remark = only(rig, number).id
    for forge in (rig.forge, rig.again()):
        forge.say(REPO, number, "plain", "Done.")
        forge.say(REPO, number, "answer", "Spelt out.", remark=remark)
    assert len(ours(rig, number)) == 2


def test_a_remark_on_a_line_is_answered_in_its_thread_once(rig: Rig) -> None:
    number = rig.opened().number
    rig.others.comment_line(number, "a", 1, "Not this one.")
    rig.others.comment_line(number, "a", 1, "Spell it out.")
    asked = rig.forge.remarks(REPO, number)[1]
    for _ in range(2):
        rig.forge.say(REPO, number, f"r1:{asked.id}", "Spelt out.", remark=asked.id)
    (said,) = ours(rig, number)
    assert "Spelt out." in said.body
    assert said.answers == "Spell it out."
    assert [remark.body for remark in rig.forge.remarks(REPO, number)] == ["Not this one.", "Spell it out."]


def test_a_remark_whose_line_is_gone_is_answered_in_its_thread(rig: Rig) -> None:
    number = rig.opened().number
    rig.others.comment_line(number, "a", 1, "Spell it out.")
    rig.branch("work", a="spelt out\n")
    rig.forge.say(REPO, number, "r1", "Spelt out.", remark=only(rig, number).id)
    (said,) = ours(rig, number)
    assert said.answers == "Spell it out."


@pytest.mark.parametrize("kind", [RemarkKind.COMMENT, RemarkKind.REVIEW])
def test_any_other_remark_is_answered_in_the_conversation(rig: Rig, kind: RemarkKind) -> None:
    number = rig.opened().number
    if kind is RemarkKind.COMMENT:
        rig.others.comment(number, "Why?")
    else:
        rig.others.review(number, Stance.CHANGES_REQUESTED, "Why?")
    rig.forge.say(REPO, number, "r1", "Because.", remark=only(rig, number).id)
    (said,) = ours(rig, number)
    assert "Because." in said.body
    assert said.answers is None


def test_a_pull_request_nobody_opened_has_no_conversation(rig: Rig) -> None:
    rig.branch("work", a="changed\n")
    with pytest.raises(Rejected):
        rig.forge.remarks(REPO, 9999)
    with pytest.raises(Rejected):
        rig.forge.say(REPO, 9999, "k", "Hello.")
    with pytest.raises(Rejected):
        rig.forge.ready(REPO, 9999)


# --- the merge -------------------------------------------------------------------------------------------------


def test_a_merge_is_one_commit_on_the_base_with_the_judged_tree(rig: Rig) -> None:
    base = rig.tip("main")
    rig.branch("work", a="changed\n")
    git(rig.work, "commit", "--quiet", "--allow-empty", "-m", "second")
    rig.push("work")
    pull = rig.forge.open_pull(draft())
    reviewed = rig.reviewed(pull)
    merged = rig.forge.merge(reviewed, "Fix it", "Why.")
    assert isinstance(merged, Merged)
    assert rig.tip("main") == merged.sha
    git(rig.work, "fetch", "--quiet", "--no-tags", *_from(rig), "refs/heads/main")
    assert git(rig.work, "log", "-1", "--format=%P|%T|%s", merged.sha) == (
        f"{base}|{reviewed.tree}|Fix it (#{pull.number})"
    )
    after = rig.forge.pull(REPO, pull.number)
    assert after is not None
    assert (after.state, after.merged_sha, after.head_sha) == (PullState.MERGED, merged.sha, pull.head_sha)
    assert rig.tip("work") is None


def _from(rig: Rig) -> tuple[str, ...]:
    remote = rig.forge.remote(REPO)
    return (remote.url.replace("://", f"://{remote.username}:{remote.password}@"),)


def test_merging_again_gives_the_same_commit(rig: Rig) -> None:
    rig.branch("work", a="changed\n")
    reviewed = rig.reviewed(rig.forge.open_pull(draft()))
    first = rig.forge.merge(reviewed, "Fix it", "")
    assert isinstance(first, Merged)
    assert rig.forge.merge(reviewed, "Other words", "") == first


def test_a_moved_head_is_not_merged(rig: Rig) -> None:
    rig.branch("work", a="changed\n")
    reviewed = rig.reviewed(rig.forge.open_pull(draft()))
    git(rig.work, "commit", "--quiet", "--amend", "-m", "the same files in another commit")
    rig.push("work")
    before = rig.tip("main")
    assert isinstance(rig.forge.merge(reviewed, "Fix it", ""), MergeRefused)
    assert rig.tip("main") == before


def test_a_moved_base_is_not_merged_onto(rig: Rig) -> None:
    rig.branch("work", a="changed\n")
    reviewed = rig.reviewed(rig.forge.open_pull(draft()))
    moved = rig.main()
    assert isinstance(rig.forge.merge(reviewed, "Fix it", ""), MergeRefused)
    assert rig.tip("main") == moved


def test_a_conflict_is_shown_and_not_merged(rig: Rig) -> None:
    rig.branch("work", a="changed\n")
    rig.main(a="changed elsewhere\n")
    pull = rig.forge.open_pull(draft())
    assert pull.mergeable is False
    assert isinstance(rig.forge.merge(rig.reviewed(pull), "Fix it", ""), MergeRefused)


def test_a_pull_request_nobody_opened_is_not_merged(rig: Rig) -> None:
    rig.branch("work", a="changed\n")
    reviewed = rig.reviewed(rig.forge.open_pull(draft()))
    assert isinstance(rig.forge.merge(replace(reviewed, pull=9999), "Fix it", ""), MergeRefused)


def test_a_head_merged_earlier_is_not_merged_as_another(rig: Rig) -> None:
    rig.branch("work", a="changed\n")
    reviewed = rig.reviewed(rig.forge.open_pull(draft()))
    rig.forge.merge(reviewed, "Fix it", "")
    other = replace(reviewed, head_sha=reviewed.base_sha)
    assert isinstance(rig.forge.merge(other, "Fix it", ""), MergeRefused)


def test_the_branch_of_a_merged_pull_request_may_have_another(rig: Rig) -> None:
    rig.branch("work", a="changed\n")
    first = rig.forge.open_pull(draft())
    rig.forge.merge(rig.reviewed(first), "Fix it", "")
    rig.branch("work", b="changed too\n")
    second = rig.forge.open_pull(draft())
    assert second.number != first.number


def test_a_tree_that_was_not_judged_is_not_merged(rig: Rig) -> None:
    rig.branch("work", a="changed\n")
    reviewed = rig.reviewed(rig.forge.open_pull(draft()))
    assert isinstance(rig.forge.merge(replace(reviewed, tree="0" * 40), "Fix it", ""), MergeRefused)


def test_a_merge_says_that_it_is_as_judged(rig: Rig) -> None:
    merged = rig.forge.merge(rig.reviewed(rig.opened()), "Fix it", "")
    assert isinstance(merged, Merged)
    assert merged.as_judged


def test_a_draft_is_made_ready_and_merged(rig: Rig) -> None:
    pull = rig.opened(is_draft=True)
    assert isinstance(rig.forge.merge(rig.reviewed(pull), "Fix it", ""), Merged)
    after = rig.forge.pull(REPO, pull.number)
    assert after is not None
    assert (after.state, after.draft) == (PullState.MERGED, False)


def test_a_head_branch_that_moved_on_after_the_merge_stays(rig: Rig) -> None:
    reviewed = rig.reviewed(rig.opened())
    first = rig.forge.merge(reviewed, "Fix it", "")
    assert rig.tip("work") is None
    moved = rig.branch("work", b="more\n")
    assert rig.forge.merge(reviewed, "Fix it", "") == first
    assert rig.tip("work") == moved
