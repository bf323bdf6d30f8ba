"""How GitHub is read: for nothing where nothing changed, and each of its words as one of ours."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import github
import pytest
import requests

from runner.adapters.github_cache import AnswerCache, Kept
from runner.adapters.github_checks import CONCLUSIONS, state_of
from runner.adapters.github_faults import KINDS, BadCredential, Declined, Missing, Transient, refused, unreachable
from runner.errors import ForgeDown
from runner.model import CheckState, Merged, MergeRefused, RequiredCheck, ReviewedHead
from tests.contract.forge_rig import REPO, Report, draft
from tests.contract.github_failing import Failing, failing
from tests.contract.github_rig import CI, report
from tests.fakes.github.faults import How
from tests.fakes.github.world import Protection
from tests.git_rig import git


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Failing]:
    with failing(tmp_path) as made:
        yield made


def used(hub: Failing) -> int:
    return sum(one.used for one in hub.state.allowances.values())


def test_looking_again_at_what_has_not_changed_costs_nothing(hub: Failing) -> None:
    head = hub.branch("work", a="changed\n")
    number = hub.forge.open_pull(draft()).number
    hub.others.report(head, Report(name="test", state=CheckState.PASSED, source=CI))
    hub.forge.set_check(REPO, head, "gate", CheckState.PASSED, "")
    for n in range(120):
        hub.others.comment(number, f"remark {n}")
    hub.others.comment_line(number, "a", 1, "Spell it out.")

    def look() -> tuple[object, ...]:
        forge = hub.forge
        return forge.pull(REPO, number), forge.checks(REPO, head), forge.remarks(REPO, number)

    first, before = look(), used(hub)
    # Who may ask is believed for some minutes, and asked again after them.
    hub.clock.passed += 3600
    hub.forget()
    assert look() == first
    assert {one.status for one in hub.asked()} == {304}
    assert used(hub) == before


def test_what_changed_is_seen_at_the_next_look(hub: Failing) -> None:
    head = hub.branch("work", a="changed\n")
    number = hub.forge.open_pull(draft()).number
    hub.forge.checks(REPO, head)
    hub.forge.remarks(REPO, number)
    hub.others.report(head, Report(name="test", state=CheckState.FAILED, source=CI))
    hub.others.comment(number, "Why?")
    assert [one.state for one in hub.forge.checks(REPO, head)] == [CheckState.FAILED]
    assert [one.body for one in hub.forge.remarks(REPO, number)] == ["Why?"]


def test_kept_answers_stay_within_their_bound() -> None:
    cache = AnswerCache(most=3, most_chars=100)
    for n in range(5):
        cache.keep(("me", str(n)), Kept(etag="e", link="", text="x" * 10))
    assert [cache.find(("me", str(n))) is not None for n in range(5)] == [False, False, True, True, True]
    cache.keep(("me", "long"), Kept(etag="e", link="", text="x" * 95))
    assert cache.find(("me", "4")) is None
    assert cache.find(("you", "long")) is None


def test_every_exception_of_the_library_has_a_meaning() -> None:
    classes = {
        one
        for _, one in inspect.getmembers(
            github.GithubException.__module__ and inspect.getmodule(github.GithubException)
        )
        if inspect.isclass(one) and issubclass(one, Exception)
    }
    assert classes
    assert classes == KINDS.keys()


@pytest.mark.parametrize(
    ("status", "headers", "message", "fault"),
    [
        (400, {}, "Problems parsing JSON", Declined),
        (401, {}, "Requires authentication", BadCredential),
        (401, {}, "Bad credentials", BadCredential),
        (403, {}, "Resource not accessible by integration", Declined),
        (403, {"retry-after": "5"}, "Blocked", Transient),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1060"}, "Forbidden", Transient),
        (404, {}, "Not Found", Missing),
        (410, {}, "Gone", Missing),
        (422, {}, "Validation Failed", Declined),
        (429, {}, "Too many", Transient),
        (500, {}, "", Transient),
        (503, {"retry-after": "9"}, "", Transient),
    ],
)
def test_an_answer_s_meaning(status: int, headers: dict[str, str], message: str, fault: type[Exception]) -> None:
    assert type(refused(status, headers, {"message": message}, now=1000.0)) is fault


@pytest.mark.parametrize("data", [None, [], "text", {"message": None, "errors": "x"}, {"errors": [1, {"code": "c"}]}])
def test_an_odd_refusal_is_still_one(data: object) -> None:
    assert isinstance(refused(422, {}, data, now=0.0), Declined)


def test_a_refusal_s_words_are_one_clean_line() -> None:
    fault = refused(422, {}, {"message": "No\n\u202ehidden\x1b[31m" + "x" * 5000}, now=0.0)
    assert isinstance(fault, Declined)
    assert fault.said.isprintable()
    assert len(fault.said) <= 300


def test_what_the_library_below_says_is_not_repeated() -> None:
    fault = unreachable(requests.ConnectionError("https://user:s3cret@host/"))
    assert "s3cret" not in str(fault)
    assert fault.landed


def test_conclusions() -> None:
    assert state_of("queued", None) is CheckState.PENDING
    assert state_of("in_progress", "success") is CheckState.PENDING
    assert {word: state_of("completed", word) for word in CONCLUSIONS} == CONCLUSIONS
    assert state_of("completed", "a word of next year") is CheckState.STALLED


def test_a_workflow_s_job_does_not_hide_another_s_of_the_same_name(hub: Failing) -> None:
    head = hub.branch("work", a="changed\n")
    hub.others.report(head, Report(name="test", state=CheckState.FAILED, source=CI))
    first = next(iter(hub.repo.suites.values()))
    first.app = "set aside"
    report(hub.state, hub.repo, head, Report(name="test", state=CheckState.PASSED, source=CI), workflow="other")
    first.app = CI
    assert [(one.workflow, one.state) for one in hub.forge.checks(REPO, head)] == [
        (".github/workflows/ci.yml", CheckState.FAILED),
        (".github/workflows/other.yml", CheckState.PASSED),
    ]


def test_required_checks_of_classic_protection_and_rulesets_with_their_apps(hub: Failing) -> None:
    slug = hub.state.world.app("circleci-checks")
    hub.repo.protections["main"] = Protection(checks=(("lint", None), ("test", 15368)))
    hub.repo.rulesets.append(Protection(checks=(("build", slug.id), ("rare", 424242)), ruleset=9, patterns=("main",)))
    tip = hub.tip("main") or ""
    report(hub.state, hub.repo, tip, Report(name="build", state=CheckState.PASSED, source="circleci-checks"))
    assert hub.forge.required_checks(REPO, "main") == (
        RequiredCheck(name="build", source="circleci-checks"),
        RequiredCheck(name="lint"),
        RequiredCheck(name="rare"),
        RequiredCheck(name="test", source=CI),
    )


def test_a_log_is_fetched_without_the_credential(hub: Failing) -> None:
    head = hub.branch("work", a="changed\n")
    hub.others.report(head, Report(name="test", state=CheckState.FAILED, source=CI, log="E  one is not two\n"))
    (check,) = hub.forge.checks(REPO, head)
    hub.forget()
    assert hub.forge.check_log(REPO, check, 1000) == "E  one is not two\n"
    assert [one.token for one in hub.asked(path="/_downloads/.*")] == ["nobody"]


def reviewed(hub: Failing) -> ReviewedHead:
    hub.branch("work", a="changed\n")
    pull = hub.forge.open_pull(draft())
    tree = git(hub.work, "merge-tree", "--write-tree", pull.base_sha, pull.head_sha).splitlines()[0]
    return ReviewedHead(repo=REPO, pull=pull.number, head_sha=pull.head_sha, base_sha=pull.base_sha, tree=tree)


def test_a_merge_that_came_out_otherwise_says_so(hub: Failing) -> None:
    proof = reviewed(hub)
    assert isinstance(hub.forge.merge(proof, "Fix it", ""), Merged)
    again = hub.forge.merge(replace(proof, tree="0" * 40), "Fix it", "")
    assert isinstance(again, Merged)
    assert not again.as_judged


def test_a_merge_that_the_branch_s_rules_forbid_is_refused_in_github_s_words(hub: Failing) -> None:
    proof = reviewed(hub)
    hub.repo.protections["main"] = Protection(checks=(("lint", None),))
    refusal = hub.forge.merge(proof, "Fix it", "")
    assert isinstance(refusal, MergeRefused)
    assert "lint" in refusal.reason
    assert hub.tip("work") == proof.head_sha


def test_our_own_check_is_written_once_while_it_says_the_same(hub: Failing) -> None:
    head = hub.branch("work", a="changed\n")
    for _ in range(3):
        hub.forge.set_check(REPO, head, "gate", CheckState.FAILED, "2 failed\n" + "x" * 300)
    (status,) = hub.repo.statuses
    assert len(status.description) <= 140


@pytest.mark.parametrize("kind", ["check-runs", "statuses"])
def test_checks_that_are_not_shown_are_not_taken_for_none(hub: Failing, kind: str) -> None:
    sha = hub.branch("work", a="changed\n")
    hub.fail("GET", f"/repos/{REPO}/commits/{sha}/{kind}", How.ERROR_BEFORE, status=404)
    with pytest.raises(ForgeDown, match="does not show its checks"):
        hub.forge.checks(REPO, sha)
    assert hub.forge.checks(REPO, sha) == ()


def test_a_commit_that_github_does_not_have_has_no_checks(hub: Failing) -> None:
    assert hub.forge.checks(REPO, "f" * 40) == ()


@pytest.mark.parametrize("times", [1, 2])
def test_where_there_are_no_drafts_a_draft_is_a_pull_request_with_the_label(hub: Failing, times: int) -> None:
    hub.repo.allow_drafts = False
    hub.branch("work", a="changed\n")
    for _ in range(times):
        pull = hub.forge.open_pull(draft(is_draft=True, labels=("ashigaru: unjudged",)))
        assert not pull.draft
    (made,) = hub.repo.pulls.values()
    assert not made.draft
    assert made.issue.labels == ["ashigaru: unjudged"]
    hub.forge.ready(REPO, pull.number, drop_labels=("ashigaru: unjudged",))
    assert made.issue.labels == []


def test_a_fork_s_pull_request_is_none_even_under_the_head_s_own_branch_name(hub: Failing) -> None:
    (fork, gone) = hub.others.forks()
    assert [hub.forge.pull(REPO, number) for number in (fork, gone)] == [None, None]
    hub.branch("theirs", a="changed\n")
    ours = hub.forge.open_pull(draft("theirs"))
    assert ours.number not in {fork, gone}
    assert hub.forge.pull(REPO, ours.number) == ours
