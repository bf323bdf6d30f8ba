"""Which merges were taken back."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.ledger import Landed
from runner.reverts import Commit, taken_back

TITLE = "Fix #1: Totals are off by one (#7)"


def commit(message: str, name: str = "") -> Commit:
    sha = hashlib.sha1(f"{message}{name}".encode(), usedforsecurity=False).hexdigest()
    return Commit(sha=sha, subject=message.partition("\n")[0], message=message)


OURS = commit(TITLE)
LANDED = Landed(run_id="r", repo="widgets", branch="main", sha=OURS.sha)
BY_GIT = commit(f'Revert "{TITLE}"\n\nThis reverts commit {OURS.sha}.\n')
BY_GITHUB = commit('Revert "Fix #1: Totals are off by one" (#9)\n\nReverts acme/widgets#7\n')
BY_SHORT = commit(f"Back it goes\n\nThis reverts commit {OURS.sha[:10]}.\n")
OTHER = commit("Something else")
OF_OTHER = commit(f'Revert "{TITLE}"\n\nThis reverts commit {OTHER.sha}.\n')


@pytest.mark.parametrize("by", [BY_GIT, BY_GITHUB, BY_SHORT])
def test_a_commit_that_says_so_takes_a_merge_back(by: Commit) -> None:
    assert taken_back(LANDED, (OTHER, OURS, OTHER, by, OTHER)) == by.sha


@pytest.mark.parametrize(
    "commits",
    [
        (),
        (OURS,),
        (OURS, OTHER),
        (BY_GIT,),
        (BY_GIT, OURS),
        (OURS, OF_OTHER),
        (OURS, commit("This reverts nothing: Revert the sign")),
        (OURS, commit(f"Talk of {OURS.sha}\n\nIt reverts commit {OURS.sha} in spirit.\n")),
    ],
)
def test_nothing_else_does(commits: tuple[Commit, ...]) -> None:
    assert taken_back(LANDED, commits) is None


def test_what_was_brought_back_is_not_taken_back() -> None:
    again = commit(f'Revert "{BY_GIT.subject}"\n\nThis reverts commit {BY_GIT.sha}.\n')
    once_more = commit(f'Revert "{TITLE}"\n\nThis reverts commit {OURS.sha}.\n', "again")
    assert taken_back(LANDED, (OURS, BY_GIT, again)) is None
    assert taken_back(LANDED, (OURS, BY_GIT, commit(f'Reapply "{TITLE}"\n\nOn reflection.\n'))) is None
    assert taken_back(LANDED, (OURS, BY_GIT, again, once_more)) == once_more.sha


WORDS = st.text('Revert" #(1)\n\0é', max_size=40)


@settings(max_examples=40, deadline=None)
@given(st.lists(WORDS.map(commit), max_size=4), WORDS)
def test_no_message_is_too_strange_to_be_read(others: list[Commit], text: str) -> None:
    assert taken_back(LANDED, (OURS, *others, commit(text))) is None
