"""The judge's defences, and how each is taken out of the real code."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from gates import findings, head, judge
from gates.findings import DEFAULT_WEIGHTS, FindingKind, Weight
from gates.plan import Gate
from gates.test_files import FileKind, kind_of
from runner import gate_run, judged_trees, judging
from runner.gate_take import Take
from runner.judged_trees import Trees
from runner.setup_run import Wanted
from tests.attack.taking_out import answering, replaced
from tests.referee.case import Defence

_takes, _wanted = Trees.takes, gate_run._wanted


def _own_alone(trees: Trees, gate: Gate) -> tuple[Take | None, Take | None, Take | None]:
    own, _, old = _takes(trees, gate)
    return own, None, old


def _no_runner_file(path: str, *, added: bool = False) -> FileKind:
    told = kind_of(path, added=added)
    return FileKind.SOURCE if told is FileKind.RUNNER else told


def _no_test_file(path: str, *, added: bool = False) -> FileKind:
    told = kind_of(path, added=added)
    return FileKind.SOURCE if told is FileKind.TEST else told


def _bases_layer(question: Any, image: str) -> Wanted:
    return replace(_wanted(question, image), change=None)


def _shows(kind: FindingKind) -> Callable[[], AbstractContextManager[None]]:
    # As they are then: another kind may be out already.
    return lambda: replaced((findings, "DEFAULT_WEIGHTS", {**findings.DEFAULT_WEIGHTS, kind: Weight.SHOW}))


def _both(*changes: tuple[Any, str, Any]) -> Callable[[], AbstractContextManager[None]]:
    return lambda: replaced(*changes)


_ALL = (
    Defence(
        name="sentinels",
        sentence="A report that does not show the judge's own tests exactly is not believed.",
        without=_both((judge, "distrust", answering(None)), (judging, "distrust", answering(None))),
    ),
    Defence(
        name="bases-tests",
        sentence="The change is judged with the base's tests too.",
        without=_both((Trees, "takes", _own_alone)),
    ),
    Defence(
        name="tests-back",
        sentence="Test files are put back as the base has them.",
        without=_both((judged_trees, "kind_of", _no_test_file)),
    ),
    Defence(
        name="runner-back",
        sentence="Files that say how tests are run are put back as the base has them.",
        without=_both((judged_trees, "kind_of", _no_runner_file)),
    ),
    Defence(
        name="manifests",
        sentence="What a manifest says of tests is held to the base's.",
        without=_both((judged_trees, "base_sections", answering(None))),
    ),
    Defence(
        name="own-layer",
        sentence="A change that edits a manifest has a set-up of its own.",
        without=_both((gate_run, "_wanted", _bases_layer)),
    ),
    Defence(
        name="evidence",
        sentence="An exit status of 0 is borne out by the promised report.",
        without=_both((judge, "_green_without_evidence", answering(None))),
        behind=("sentinels", "aware-of-tests", "tests-gone", "bases-tests"),
    ),
    Defence(
        name="gates",
        sentence="What the gates say of the change decides.",
        without=_both((head, "word_on", answering(None))),
    ),
    Defence(
        name="no-reproducer",
        sentence="Where a reproducer is asked for, a change without one fails.",
        without=_both((head, "_reproduced", answering([]))),
    ),
    *(
        Defence(name=str(kind), sentence=f"A person looks at {kind}.", without=_shows(kind))
        for kind, weight in DEFAULT_WEIGHTS.items()
        if weight is not Weight.SHOW
    ),
)
DEFENCES: dict[str, Defence] = {one.name: one for one in _ALL}
