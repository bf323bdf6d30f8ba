"""What a caller may, decided before anything is done; a run of another's costs as much as one that is not there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner import intents
from runner.callers import (
    OPERATOR,
    Caller,
    Scope,
    Token,
    caller_name,
    digest_of,
    lifetime,
    mint,
    scopes_of,
    token_id,
)
from runner.desk import Desk
from runner.errors import BadIntent, NotPermitted, NotPossible, UnknownRun
from runner.keyring import Keyring
from runner.logs import Wanted
from runner.model import Phase
from runner.promoting import NotPromoted
from runner.records import RunRecord
from runner.service import Service

RUN = RunRecord(
    run_id="widgets-1-abcdef",
    repo="widgets",
    issue=1,
    brief="b",
    model=None,
    phase=Phase.QUEUED,
    base_branch="main",
    branch="ashigaru/1-abcdef",
    created_at=1.0,
    updated_at=2.0,
    start_tier=0,
    owner="bot",
    pull=1,
)
BOT = Caller(name="bot", scopes=frozenset(Scope), own_runs=True)
OTHER = replace(BOT, name="other")
WANTED = Wanted(attempt=None, source=None, since=None, limit=1)
DEEDS: dict[str, tuple[Scope, Callable[[Desk, str], Any]]] = {
    "work_ticket": (Scope.DISPATCH, lambda desk, _: desk.work_ticket(intents.work_ticket("widgets", 1, "brief"))),
    "request_changes": (Scope.DISPATCH, lambda desk, run: desk.request_changes(intents.request_changes(run, "notes"))),
    "cancel": (Scope.DISPATCH, lambda desk, run: desk.cancel(intents.cancel(run))),
    "retry": (Scope.DISPATCH, lambda desk, run: desk.retry(run)),
    "promote": (Scope.PROMOTE, lambda desk, _: desk.promote(intents.promote("widgets", 1))),
    "status": (Scope.READ, lambda desk, run: desk.status(run)),
    "cursor": (Scope.READ, lambda desk, run: desk.cursor(run)),
    "today": (Scope.READ, lambda desk, _: desk.today()),
    "list_runs": (Scope.READ, lambda desk, _: desk.list_runs()),
    "ledger": (Scope.READ, lambda desk, _: desk.ledger(since=0.0, repo=None)),
    "logs": (Scope.READ, lambda desk, run: desk.logs(run, WANTED)),
    "diff": (Scope.READ, lambda desk, run: desk.diff(run, max_bytes=1)),
}
OF_A_RUN = sorted(set(DEEDS) - {"work_ticket", "promote", "list_runs", "ledger", "today"})


class Ledger(Service):
    """A service with one run, that keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.owners: Any = self

    def of_run(self, run_id: str) -> str | None:
        self.asked.append("of_run")
        return RUN.owner if run_id == RUN.run_id else None

    def of_pull(self, repo: str, pull: int) -> str | None:
        self.asked.append("of_pull")
        return RUN.owner if (repo, pull) == (RUN.repo, RUN.pull) else None

    def __getattribute__(self, name: str) -> Any:
        if name in DEEDS:
            asked = object.__getattribute__(self, "asked")

            def done(*_: object, **__: object) -> Any:
                asked.append(name)
                return RUN

            return done
        return object.__getattribute__(self, name)


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("own", [True, False])
def test_without_its_scope_nothing_is_even_looked_up(deed: str, *, own: bool) -> None:
    scope, do = DEEDS[deed]
    service = Ledger()
    caller = Caller(name="bot", scopes=frozenset(Scope) - {scope}, own_runs=own)
    with pytest.raises(NotPermitted, match=f"lacks the scope {scope.value};"):
        do(Desk(service, caller), RUN.run_id)
    assert service.asked == []


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("caller", [BOT, OPERATOR, Caller(name="other", scopes=frozenset(Scope))])
def test_with_its_scope_the_service_does_it(deed: str, caller: Caller) -> None:
    service = Ledger()
    DEEDS[deed][1](Desk(service, caller), RUN.run_id)
    assert service.asked[-1] == deed


@pytest.mark.parametrize("deed", OF_A_RUN)
def test_anothers_run_and_no_run_are_one_look_up_and_the_same_words(deed: str) -> None:
    said, asked = [], []
    for run_id in (RUN.run_id, "widgets-1-zzzzzz"):
        service = Ledger()
        with pytest.raises(UnknownRun) as refused:
            DEEDS[deed][1](Desk(service, OTHER), run_id)
        said.append(str(refused.value).replace(run_id, "it"))
        asked.append(service.asked)
    assert said[0] == said[1]
    assert asked == [["of_run"], ["of_run"]]


def test_anothers_pull_request_and_none_are_one_look_up_and_the_same_words() -> None:
    said, asked = [], []
    for number in (1, 2):
        service = Ledger()
        outcome = Desk(service, OTHER).promote(intents.promote("widgets", number))
        assert isinstance(outcome, NotPromoted)
        said.append(outcome.reason)
        asked.append(service.asked)
    assert said[0] == said[1]
    assert asked == [["of_pull"], ["of_pull"]]


def test_an_issue_that_another_has_worked_is_taken_and_no_more_is_said() -> None:
    with pytest.raises(NotPossible) as refused:
        DEEDS["work_ticket"][1](Desk(Ledger(), OTHER), "")
    assert RUN.run_id not in str(refused.value)
    assert RUN.owner not in str(refused.value)


class Shelf:
    """Tokens in a list; asking for one is remembered."""

    def __init__(self, *tokens: Token) -> None:
        self.tokens = tokens
        self.asked = 0

    def add(self, token: Token) -> None:
        raise AssertionError(f"{token.id} was added")

    def revoke(self, token_id: str, at: float) -> Token | None:
        raise AssertionError(f"{token_id} was revoked at {at}")

    def find(self, token_id: str) -> Token | None:
        self.asked += 1
        return next((token for token in self.tokens if token.id == token_id), None)

    def all(self) -> list[Token]:
        return list(self.tokens)


class At:
    """A clock that stands."""

    def __init__(self, at: float) -> None:
        self.at = at

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


def minted(**changes: Any) -> tuple[Token, str]:
    token, text = mint("bot", scopes=frozenset({Scope.READ}), own_runs=True, life_s=60, now=100.0)
    return replace(token, **changes), text


def test_a_token_is_who_it_was_made_for_until_the_moment_it_expires() -> None:
    token, text = minted()
    clock = At(159.9)
    ring = Keyring(tokens=Shelf(token), clock=clock, operator_digest=None)
    assert ring.caller(text) == Caller(name="bot", scopes=frozenset({Scope.READ}), own_runs=True)
    assert ring.opens()
    clock.at = 160.0
    assert ring.caller(text) is None
    assert not ring.opens()


def test_a_revoked_token_is_nobodys() -> None:
    token, text = minted(revoked_at=101.0)
    ring = Keyring(tokens=Shelf(token), clock=At(102), operator_digest=None)
    assert ring.caller(text) is None
    assert not ring.opens()


@given(shown=st.text(max_size=100))
def test_what_is_no_token_is_nobodys_and_is_not_looked_for(shown: str) -> None:
    shelf = Shelf(minted()[0])
    ring = Keyring(tokens=shelf, clock=At(100), operator_digest=digest_of("the operator's own token"))
    assert ring.caller(shown) is None
    assert shelf.asked == 0


def test_a_token_that_differs_in_one_character_is_nobodys() -> None:
    token, text = minted()
    ring = Keyring(tokens=Shelf(token), clock=At(100), operator_digest=None)
    for place in range(len(text)):
        other = text[:place] + ("0" if text[place] != "0" else "1") + text[place + 1 :]
        assert ring.caller(other) is None


def test_the_operators_token_is_the_operator_whatever_it_looks_like() -> None:
    for own in ("tok-n", minted()[1], "\udcff"):
        assert Keyring(tokens=Shelf(), clock=At(100), operator_digest=digest_of(own)).caller(own) == OPERATOR


def test_two_tokens_have_nothing_in_common_and_neither_is_kept() -> None:
    (one, text), (other, again) = minted(), minted()
    assert one.id != other.id
    assert token_id(text) == one.id
    assert text != again
    secret = text.rsplit("_", 1)[1]
    assert len(secret) == 64
    assert secret not in repr(one)


@pytest.mark.parametrize(("text", "seconds"), [("30m", 1800), ("12h", 43200), ("90d", 7776000), ("8w", 4838400)])
def test_a_lifetime_is_read_in_its_unit(text: str, seconds: float) -> None:
    assert lifetime(text) == seconds


@given(text=st.text(max_size=12))
def test_a_lifetime_is_positive_and_bounded_or_refused(text: str) -> None:
    try:
        assert 0 < lifetime(text) <= 3660 * 86400
    except BadIntent:
        return


def test_scopes_are_what_was_named_and_nothing_besides() -> None:
    assert scopes_of("promote") == {Scope.PROMOTE}
    assert scopes_of("read, dispatch") == {Scope.READ, Scope.DISPATCH}
    with pytest.raises(BadIntent):
        scopes_of("read,admin")


@pytest.mark.parametrize("name", ["operator", "Operator", "", "a b", "-x", "x" * 65, "x\n", "é"])
def test_a_name_that_could_be_taken_for_anothers_is_refused(name: str) -> None:
    with pytest.raises(BadIntent):
        caller_name(name)
