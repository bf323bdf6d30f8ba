"""A GitHub that fails: nothing is done twice, nothing is lost, and no wait goes on for ever."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from runner.adapters.github_client import GithubClient
from runner.adapters.github_faults import Transient
from runner.errors import ForgeDown
from runner.model import CheckState, Merged, Pull, ReviewedHead
from tests.contract.forge_rig import REPO, draft
from tests.contract.github_failing import Failing, failing
from tests.fakes.github.faults import How
from tests.git_rig import git

BASE = "/repos/acme/widgets"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Failing]:
    with failing(tmp_path) as made:
        yield made


@dataclass(frozen=True, kw_only=True)
class Deed:
    """A write: what goes before, what is done, how the world is told to have it exactly once, and what fails."""

    method: str
    path: str
    do: Callable[[Failing, Pull], object]
    once: Callable[[Failing], bool]
    before: Callable[[Failing, Pull], object] = lambda _hub, _pull: None


def _reviewed(hub: Failing, pull: Pull) -> ReviewedHead:
    tree = git(hub.work, "merge-tree", "--write-tree", pull.base_sha, pull.head_sha).splitlines()[0]
    return ReviewedHead(repo=REPO, pull=pull.number, head_sha=pull.head_sha, base_sha=pull.base_sha, tree=tree)


def _merge(hub: Failing, pull: Pull) -> None:
    assert isinstance(hub.forge.merge(_reviewed(hub, pull), "Fix it", ""), Merged)


def _merged_once(hub: Failing) -> bool:
    (pull,) = hub.repo.pulls.values()
    count = hub.state.git.run(hub.repo.id, "rev-list", "--count", "main")
    return count == "2" and pull.merged_at is not None and hub.tip("work") is None


def _open_other(hub: Failing, _pull: Pull) -> None:
    hub.branch("other", b="changed\n")
    hub.forge.open_pull(draft("other"))


def _answer(hub: Failing, pull: Pull) -> None:
    (remark,) = hub.forge.remarks(REPO, pull.number)
    hub.forge.say(REPO, pull.number, "r1", "Spelt out.", remark=remark.id)


DEEDS = {
    "open": Deed(
        method="POST", path=f"{BASE}/pulls", do=_open_other, once=lambda hub: sorted(hub.repo.pulls) == [1, 2]
    ),
    "retitle": Deed(
        method="PATCH",
        path=f"{BASE}/pulls/1",
        do=lambda hub, _: hub.forge.open_pull(draft(title="Better")),
        once=lambda hub: hub.repo.issues[1].title == "Better",
    ),
    "make a label": Deed(
        method="POST",
        path=f"{BASE}/labels",
        do=lambda hub, _: hub.forge.open_pull(draft(labels=("ashigaru",))),
        once=lambda hub: hub.repo.issues[1].labels == ["ashigaru"],
    ),
    "label": Deed(
        method="POST",
        path=f"{BASE}/issues/1/labels",
        do=lambda hub, _: hub.forge.open_pull(draft(labels=("ashigaru",))),
        once=lambda hub: hub.repo.issues[1].labels == ["ashigaru"],
    ),
    "unlabel": Deed(
        method="DELETE",
        path=f"{BASE}/issues/1/labels/ashigaru",
        before=lambda hub, _: hub.repo.issues[1].labels.extend(["ashigaru", "urgent"]),
        do=lambda hub, _: hub.forge.open_pull(draft()),
        once=lambda hub: hub.repo.issues[1].labels == ["urgent"],
    ),
    "draft": Deed(
        method="POST",
        path="/graphql",
        do=lambda hub, _: hub.forge.open_pull(draft(is_draft=True)),
        once=lambda hub: hub.repo.pulls[1].draft,
    ),
    "set a check": Deed(
        method="POST",
        path=f"{BASE}/statuses/.*",
        do=lambda hub, pull: hub.forge.set_check(REPO, pull.head_sha, "gate", CheckState.PASSED, "fine"),
        once=lambda hub: [one.context for one in hub.repo.statuses] == ["gate"],
    ),
    "comment": Deed(
        method="POST",
        path=f"{BASE}/issues/1/comments",
        do=lambda hub, _: hub.forge.say(REPO, 1, "k", "Done."),
        once=lambda hub: len(hub.repo.comments) == 1,
    ),
    "answer in a thread": Deed(
        method="POST",
        path=f"{BASE}/pulls/1/comments/.*/replies",
        before=lambda hub, _: hub.others.comment_line(1, "a", 1, "Spell it out."),
        do=_answer,
        once=lambda hub: len(hub.repo.line_comments) == 2 and not hub.repo.comments,
    ),
    "merge": Deed(method="PUT", path=f"{BASE}/pulls/1/merge", do=_merge, once=_merged_once),
    "drop the branch": Deed(method="DELETE", path=f"{BASE}/git/refs/heads/work", do=_merge, once=_merged_once),
}

FAILURES: dict[str, tuple[How, int, int | None]] = {
    "502 before": (How.ERROR_BEFORE, 502, None),
    "502 after": (How.ERROR_AFTER, 502, None),
    "503 with a time": (How.ERROR_AFTER, 503, None),
    "cut before": (How.CUT_BEFORE, 502, None),
    "cut after": (How.CUT_AFTER, 502, None),
    "a page of HTML": (How.HTML, 502, None),
    "half an answer": (How.TRUNCATED, 200, None),
    "slow down, and when": (How.SECONDARY_LIMIT, 403, 7),
    "slow down": (How.SECONDARY_LIMIT, 403, None),
    "slow down, by its own status": (How.SECONDARY_LIMIT, 429, 7),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("deed", DEEDS)
def test_whatever_fails_a_write_is_done_and_done_once(hub: Failing, deed: str, failure: str) -> None:
    one = DEEDS[deed]
    how, status, retry_after = FAILURES[failure]
    hub.branch("work", a="changed\n")
    pull = hub.forge.open_pull(draft())
    one.before(hub, pull)
    fault = hub.fail(one.method, one.path, how, status=status, retry_after=retry_after)
    one.do(hub, pull)
    assert fault.reached.is_set()
    assert one.once(hub)


@pytest.mark.parametrize("deed", sorted(DEEDS.keys() - {"retitle", "label", "unlabel"}))
def test_a_write_that_landed_is_not_sent_again(hub: Failing, deed: str) -> None:
    one = DEEDS[deed]
    hub.branch("work", a="changed\n")
    pull = hub.forge.open_pull(draft())
    one.before(hub, pull)
    hub.fail(one.method, one.path, How.ERROR_AFTER)
    hub.forget()
    one.do(hub, pull)
    assert len(hub.asked(one.method, one.path)) == 1


@pytest.mark.parametrize(
    ("deed", "reads"),
    [
        ("open", f"{BASE}/pulls"),
        ("comment", f"{BASE}/issues/1/comments"),
        ("answer in a thread", f"{BASE}/pulls/1/comments"),
    ],
)
def test_a_read_older_than_the_write_does_not_have_it_done_twice(hub: Failing, deed: str, reads: str) -> None:
    one = DEEDS[deed]
    hub.branch("work", a="changed\n")
    pull = hub.forge.open_pull(draft())
    one.before(hub, pull)
    if deed == "open":
        hub.branch("other", b="changed\n")
    if deed == "answer in a thread":
        hub.forge.remarks(REPO, 1)
    before = hub.state.moment()
    hub.fail(one.method, one.path, How.ERROR_AFTER)
    # The look before the write, and the first one after it.
    hub.fail("GET", reads, How.STALE, times=3 if deed == "answer in a thread" else 2, moment=before)
    one.do(hub, pull)
    assert one.once(hub)


@pytest.mark.parametrize("old", [1, 2, 3])
def test_a_comment_whose_answer_got_lost_is_not_doubled_while_reads_stay_old(hub: Failing, old: int) -> None:
    hub.branch("work", a="changed\n")
    hub.forge.open_pull(draft())
    comments = f"{BASE}/issues/1/comments"
    hub.fail("POST", comments, How.ERROR_AFTER)
    # The look before the comment, and so many after it.
    hub.fail("GET", comments, How.STALE, times=1 + old, moment=hub.state.moment())
    hub.forge.say(REPO, 1, "k", "Done.")
    assert len(hub.asked("POST", comments)) == 1
    assert len(hub.repo.comments) == 1


def test_a_comment_lost_by_an_earlier_call_is_looked_for_longer_by_the_next(hub: Failing) -> None:
    hub.branch("work", a="changed\n")
    hub.forge.open_pull(draft())
    comments = f"{BASE}/issues/1/comments"
    before = hub.state.moment()
    hub.fail("GET", comments, How.STALE, moment=before)
    hub.fail("POST", comments, How.ERROR_AFTER)
    down = hub.fail("GET", comments, How.ERROR_BEFORE, times=100)
    with pytest.raises(ForgeDown):
        hub.forge.say(REPO, 1, "k", "Done.")
    assert down.reached.is_set()
    hub.state.faults.clear()
    hub.fail("GET", comments, How.STALE, times=3, moment=before)
    hub.forge.say(REPO, 1, "k", "Done.")
    assert len(hub.asked("POST", comments)) == 1
    assert len(hub.repo.comments) == 1


def test_only_the_comment_that_got_lost_is_looked_for_longer(hub: Failing) -> None:
    hub.branch("work", a="changed\n")
    hub.forge.open_pull(draft())
    hub.fail("POST", f"{BASE}/issues/1/comments", How.ERROR_AFTER)
    hub.forge.say(REPO, 1, "k", "Done.")
    hub.clock.slept.clear()
    hub.forge.say(REPO, 1, "other", "Done too.")
    hub.forge.say(REPO, 1, "k", "Done.")
    assert hub.clock.slept == []
    assert len(hub.repo.comments) == 2


def test_a_comment_that_was_found_again_is_no_longer_one_that_got_lost(hub: Failing) -> None:
    hub.branch("work", a="changed\n")
    hub.forge.open_pull(draft())
    hub.fail("POST", f"{BASE}/issues/1/comments", How.ERROR_AFTER)
    hub.forge.say(REPO, 1, "k", "Done.")
    hub.repo.comments.clear()
    hub.clock.slept.clear()
    hub.forge.say(REPO, 1, "k", "Done.")
    assert hub.clock.slept == []
    assert len(hub.repo.comments) == 1


def test_a_merge_sent_again_because_every_look_was_old_is_the_merge_there_is(hub: Failing) -> None:
    hub.branch("work", a="changed\n")
    pull = hub.forge.open_pull(draft())
    hub.forge.pull(REPO, 1)
    hub.fail("PUT", f"{BASE}/pulls/1/merge", How.ERROR_AFTER)
    # Before the merge: twice what is asked of it, and the look; after it: both looks.
    hub.fail("GET", f"{BASE}/pulls/1", How.STALE, times=4, moment=hub.state.moment())
    _merge(hub, pull)
    assert len(hub.asked("PUT")) == 2
    assert _merged_once(hub)


@pytest.mark.parametrize("failure", FAILURES)
def test_a_read_that_fails_is_asked_again(hub: Failing, failure: str) -> None:
    how, status, retry_after = FAILURES[failure]
    hub.fail("GET", BASE, how, status=status, retry_after=retry_after)
    assert hub.forge.default_branch(REPO) == "main"
    assert len(hub.clock.slept) == 1


def test_a_forge_that_stays_down_is_told_before_the_deadline(hub: Failing) -> None:
    hub.fail("*", ".*", How.ERROR_BEFORE, times=100)
    with pytest.raises(ForgeDown):
        hub.forge.default_branch(REPO)
    assert 30 < hub.clock.passed < 90
    assert len(hub.asked()) < 60


@pytest.mark.parametrize("status", [307, 308])
def test_a_write_sent_elsewhere_by_a_renaming_is_done_once(hub: Failing, status: int) -> None:
    hub.branch("work", a="changed\n")
    number = hub.forge.open_pull(draft()).number
    fault = hub.fail("POST", f"{BASE}/issues/1/comments", How.ERROR_BEFORE, status=status)
    hub.forge.say(REPO, number, "k", "Done.")
    assert fault.reached.is_set()
    assert len(hub.repo.comments) == 1


def test_an_answer_that_is_not_ready_yet_is_asked_for_again(hub: Failing) -> None:
    hub.fail("GET", BASE, How.ERROR_BEFORE, status=202)
    assert hub.forge.default_branch(REPO) == "main"
    assert len(hub.clock.slept) == 1


def test_an_answer_that_is_never_ready_is_given_up_by_the_deadline(hub: Failing) -> None:
    hub.fail("GET", BASE, How.ERROR_BEFORE, status=202, times=1000)
    with pytest.raises(ForgeDown):
        hub.forge.default_branch(REPO)
    assert 30 < hub.clock.passed < 90
    assert len(hub.asked()) < 60


def test_the_deadline_is_for_all_requests_of_a_call_together(hub: Failing) -> None:
    hub.branch("work", a="changed\n")
    hub.forge.open_pull(draft())
    hub.fail("GET", BASE, How.SECONDARY_LIMIT, status=403, retry_after=50)
    hub.fail("GET", f"{BASE}/pulls/1", How.SECONDARY_LIMIT, status=403, retry_after=50)
    with pytest.raises(ForgeDown):
        hub.forge.pull(REPO, 1)
    assert hub.clock.passed < 60


def test_what_github_asks_to_be_waited_is_waited(hub: Failing) -> None:
    hub.fail("GET", BASE, How.SECONDARY_LIMIT, status=403, retry_after=7)
    hub.forge.default_branch(REPO)
    (slept,) = hub.clock.slept
    assert 7 <= slept <= 8


def test_a_wait_beyond_the_deadline_is_not_begun_but_told(hub: Failing) -> None:
    hub.fail("GET", BASE, How.SECONDARY_LIMIT, status=429, retry_after=3600)
    with pytest.raises(ForgeDown) as told:
        hub.forge.default_branch(REPO)
    assert told.value.retry_after_s >= 3600
    assert hub.clock.slept == []


def test_a_used_up_rate_limit_is_told_with_the_time_of_its_reset(hub: Failing) -> None:
    hub.forge.default_branch(REPO)
    (allowance,) = [one for one in hub.state.allowances.values() if one.used]
    allowance.used, allowance.reset = allowance.limit, hub.state.clock.now() + 1234
    with pytest.raises(ForgeDown) as told:
        hub.forge.pull(REPO, 1)
    assert 1200 < told.value.retry_after_s < 1300
    assert hub.clock.slept == []


def test_an_answer_that_does_not_come_is_not_waited_for(tmp_path: Path) -> None:
    with failing(tmp_path, timeout_s=1.0) as hub:
        fault = hub.fail("GET", BASE, How.HELD_BEFORE)
        assert hub.forge.default_branch(REPO) == "main"
        fault.released.set()


def test_of_more_lost_than_can_be_remembered_the_oldest_is_forgotten(hub: Failing) -> None:
    # So short a deadline that nothing is tried again.
    hurried = GithubClient(hub.url, hub.clock, deadline_s=0.1)
    said: list[int] = []

    def lose() -> bool:
        raise Transient("The answer got lost.")

    def tell(number: int) -> bool:
        said.append(number)
        return True

    for number in range(1001):
        with pytest.raises(Transient):
            hurried.once(lambda: None, lose, named=number)
    assert hurried.once(lambda: None, lambda: tell(0), named=0)
    with pytest.raises(Transient):
        hurried.once(lambda: None, lambda: tell(1000), named=1000)
    assert said == [0]
