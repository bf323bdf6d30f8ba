"""The ports that give receipts: the intent before the deed, the outcome after it, and no deed without an intent."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from runner.errors import CheckoutFault, ForgeDown, NotPossible, PushRejected, RecordsFault
from runner.model import CheckState, Merged, MergeRefused, PullDraft, Remote, ReviewedHead
from runner.ports import Checkouts, Forge
from runner.receipted import Giving, ReceiptedCheckouts, ReceiptedForge
from runner.receipts import Deed, Detail, Stage
from tests.fakes.pulls import a_pull

REMOTE = Remote(url="https://forge.example/widgets.git", username="x", password="hunter2-hunter2")
DRAFT = PullDraft(
    repo="widgets", head_branch="b", base_branch="main", title="T", body="secret body", draft=True, labels=("ashigaru",)
)
PULL = a_pull(number=4, title="T", body="", draft=True, head_branch="b", head_sha="c1", base_sha="c0", mergeable=None)
REVIEWED = ReviewedHead(repo="widgets", pull=4, head_sha="c1", base_sha="c0", tree="t1")
DEEDS = {
    "refresh": ("checkouts", ("widgets", REMOTE), None),
    "push": ("checkouts", ("run-1", REMOTE, "c1", "b"), None),
    "open_pull": ("forge", (DRAFT,), PULL),
    "ready": ("forge", ("widgets", 4), None),
    "set_check": ("forge", ("widgets", "c1", "gate", CheckState.PASSED, "fine"), None),
    "say": ("forge", ("widgets", 4, "hello", "secret body"), None),
    "merge": ("forge", (REVIEWED, "T", "secret body"), Merged(sha="c2")),
}


@dataclass
class Story:
    """A ledger and a world in one, so that their order is seen."""

    told: list[tuple[Any, ...]] = field(default_factory=list)
    answer: Any = None
    full: bool = False

    def begin(self, deed: Deed) -> int:
        if self.full:
            raise RecordsFault("The disk is full; make room.")
        self.told.append(("intent", deed))
        return len(self.told)

    def settle(self, deed: Deed, intent: int, stage: Stage, outcome: Detail) -> None:  # noqa: ARG002 - the port's
        self.told.append((stage.value, deed, dict(outcome)))

    def __getattr__(self, name: str) -> Any:
        def deed(*_arguments: Any, **_named: Any) -> Any:
            self.told.append(("deed", name))
            if isinstance(self.answer, BaseException):
                raise self.answer
            return self.answer

        return deed

    def do(self, name: str) -> Any:
        giving = Giving(receipts=self, run_of_pull=lambda _repo, _pull: "run-1", pushed={"b": "run-1", "c1": "run-1"})
        port, arguments, _ = DEEDS[name]
        made = ReceiptedForge(forge=self, giving=giving)
        used = made if port == "forge" else ReceiptedCheckouts(checkouts=self, giving=giving)
        return getattr(used, name)(*arguments)


@pytest.mark.parametrize("name", DEEDS)
def test_a_deed_stands_between_its_intent_and_its_outcome(name: str) -> None:
    story = Story(answer=DEEDS[name][2])
    assert story.do(name) == DEEDS[name][2]
    assert [one[0] for one in story.told] == ["intent", "deed", "done"]
    assert story.told[0][1].run_id == ("" if name == "refresh" else "run-1")


@pytest.mark.parametrize("name", DEEDS)
def test_without_an_intent_on_record_nothing_is_done(name: str) -> None:
    story = Story(full=True)
    with pytest.raises(RecordsFault):
        story.do(name)
    assert story.told == []


@pytest.mark.parametrize(
    ("fault", "stage"),
    [
        (ForgeDown("down"), "unknown"),
        (CheckoutFault("git died"), "unknown"),
        (PushRejected("moved"), "refused"),
        (NotPossible("archived"), "refused"),
    ],
)
@pytest.mark.parametrize("name", DEEDS)
def test_a_fault_is_on_record_as_what_is_known_of_the_deed(name: str, fault: Exception, stage: str) -> None:
    story = Story(answer=fault)
    with pytest.raises(type(fault)):
        story.do(name)
    assert [one[0] for one in story.told] == ["intent", "deed", stage]


@pytest.mark.parametrize("name", DEEDS)
def test_a_death_in_the_middle_leaves_the_intent_open(name: str) -> None:
    story = Story(answer=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        story.do(name)
    assert [one[0] for one in story.told] == ["intent", "deed"]


@pytest.mark.parametrize("name", DEEDS)
def test_a_receipt_holds_no_credential_and_no_text_that_others_wrote(name: str) -> None:
    story = Story(answer=DEEDS[name][2])
    story.do(name)
    assert "hunter2" not in repr(story.told)
    assert "secret body" not in repr([one[1].detail for one in story.told if one[0] != "deed"])


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://x:hunter2-hunter2@forge.example:8443/w.git?token=a", "https://forge.example:8443/w.git"),
        ("http://127.0.0.1:8020/forge/w", "http://127.0.0.1/forge/w"),
    ],
)
def test_an_address_is_told_without_what_would_be_a_credential_in_it(url: str, told: str) -> None:
    story = Story()
    giving = Giving(receipts=story, run_of_pull=lambda _repo, _pull: "")
    ReceiptedCheckouts(checkouts=story, giving=giving).push("run-1", Remote(url=url), "c1", "b")
    assert story.told[0][1].detail["to"] == told


def test_a_refused_merge_is_on_record_as_refused() -> None:
    story = Story(answer=MergeRefused(reason="The base moved."))
    assert story.do("merge") == story.answer
    assert story.told[-1][0] == "refused"
    assert story.told[-1][2] == {"reason": "The base moved."}


def test_the_same_words_make_the_same_deed_and_other_words_another() -> None:
    keys = []
    for text in ("one", "one", "two"):
        story = Story(answer=PULL)
        giving = Giving(receipts=story, run_of_pull=lambda _repo, _pull: "")
        ReceiptedForge(forge=story, giving=giving).open_pull(replace(DRAFT, body=text))
        keys.append((story.told[0][1].key, story.told[0][1].detail["text_sha256"]))
    assert keys[0] == keys[1]
    assert keys[0][0] == keys[2][0]
    assert keys[0][1] != keys[2][1]


def test_what_was_pushed_is_remembered_within_a_bound() -> None:
    giving = Giving(receipts=Story(), run_of_pull=lambda _repo, _pull: "")
    for number in range(3000):
        giving.remember("run-1", f"c{number}")
    assert len(giving.pushed) == 1000
    assert "c2999" in giving.pushed


def test_every_method_of_the_ports_is_there() -> None:
    """One that were left to the Protocol would answer None to everybody."""
    for port, given in ((Forge, ReceiptedForge), (Checkouts, ReceiptedCheckouts)):
        methods = {name for name in vars(port) if not name.startswith("_")}
        assert methods <= set(vars(given))
