"""What a caller may ask. Parsed at the edge, trusted inside: an intent that exists is well-formed."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from runner.callers import OPERATOR_NAME
from runner.errors import BadIntent
from runner.fair_queue import Priority

MAX_BRIEF_CHARS: Final = 20_000
MAX_NOTES_CHARS: Final = 10_000
MAX_ISSUE: Final = 2_147_483_647
MAX_WAIT_S: Final = 300.0

_REPO: Final = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]{0,99}/)?[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_RUN_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_MODEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/\[\]-]{0,99}")
_SHA: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class WorkTicket:
    """Work one issue of one repository. `brief` is all the agent is told of it; `model` pins the starting tier.

    owner: who has it worked. priority: None: as the operator sets for the repository.
    """

    repo: str
    issue: int
    brief: str
    model: str | None = None
    priority: Priority | None = None
    owner: str = OPERATOR_NAME


@dataclass(frozen=True, kw_only=True)
class Promote:
    """Squash-merge the judged head of a pull request; `head_sha` pins what the caller saw."""

    repo: str
    pull: int
    head_sha: str | None = None


@dataclass(frozen=True, kw_only=True)
class RequestChanges:
    """A new round on the run's branch and pull request, told `notes`."""

    run_id: str
    notes: str


@dataclass(frozen=True, kw_only=True)
class Cancel:
    """Stop the run and keep its work on a branch."""

    run_id: str


def repo_name(value: str) -> str:
    """`name` or `owner/name`. Raises BadIntent."""
    if not _REPO.fullmatch(value) or ".." in value or value.endswith((".git", ".lock", ".")):
        raise BadIntent("repo must be a repository's name, like 'widgets' or 'acme/widgets'.")
    return value


def run_identity(value: str) -> str:
    """A run's id. Raises BadIntent."""
    if not _RUN_ID.fullmatch(value):
        raise BadIntent("run_id must be an id that work_ticket or list_runs returned.")
    return value


def _hidden(ch: str) -> bool:
    # A phone's emoji are joined by ZERO WIDTH JOINER; every other format character can hide an instruction.
    return ch not in "\n\t\u200d" and unicodedata.category(ch) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def _text(value: str, *, name: str, limit: int) -> str:
    stripped = value.replace("\r\n", "\n").strip()
    if not stripped:
        raise BadIntent(f"{name} must not be blank; say in a sentence or more what is wanted.")
    if len(value) > limit:
        raise BadIntent(f"{name} is {len(value)} characters long; shorten it to {limit} or fewer.")
    if any(_hidden(ch) for ch in stripped):
        raise BadIntent(f"{name} holds control or invisible characters; send plain text.")
    return stripped


def _positive(value: int, *, name: str) -> int:
    if not 0 < value <= MAX_ISSUE:
        raise BadIntent(f"{name} must be a number from 1 to {MAX_ISSUE}.")
    return value


def tier_name(value: str) -> str:
    """What may be the name of a tier, or of a model on one. Raises BadIntent."""
    if not _MODEL.fullmatch(value):
        raise BadIntent("tier must be the name of a tier or of a model on the ladder, like 'sonnet' or 'opus'.")
    return value


def priority_of(value: str) -> Priority:
    """How urgent it is. Raises BadIntent."""
    try:
        return Priority(value)
    except ValueError:
        raise BadIntent(f"priority must be one of {', '.join(Priority)}.") from None


def work_ticket(repo: str, issue: int, brief: str, model: str | None = None, priority: str | None = None) -> WorkTicket:
    """A well-formed ticket. Raises BadIntent with one sentence on the first thing that is wrong."""
    if model is not None and not _MODEL.fullmatch(model):
        raise BadIntent("model must be the name of a tier or of a model on the ladder, like 'sonnet' or 'opus'.")
    return WorkTicket(
        repo=repo_name(repo),
        issue=_positive(issue, name="issue"),
        brief=_text(brief, name="brief", limit=MAX_BRIEF_CHARS),
        model=model,
        priority=None if priority is None else priority_of(priority),
    )


def promote(repo: str, pull: int, head_sha: str | None = None) -> Promote:
    """A well-formed promotion. Raises BadIntent."""
    if head_sha is not None and not _SHA.fullmatch(head_sha):
        raise BadIntent("head_sha must be the full commit id that status showed, in lower-case hex.")
    return Promote(repo=repo_name(repo), pull=_positive(pull, name="pr"), head_sha=head_sha)


def request_changes(run_id: str, notes: str) -> RequestChanges:
    """Well-formed notes for a run. Raises BadIntent."""
    return RequestChanges(run_id=run_identity(run_id), notes=_text(notes, name="notes", limit=MAX_NOTES_CHARS))


def cancel(run_id: str) -> Cancel:
    """A well-formed cancellation. Raises BadIntent."""
    return Cancel(run_id=run_identity(run_id))
