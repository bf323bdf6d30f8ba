"""The forge and the checkouts, as the daemon has them: what fetches or changes has a receipt.

The intent is on record before the deed and the outcome after it, so that no crash between the two hides a deed.
Looking (a pull request, its checks, a branch's tip) leaves none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

from runner.changes import Difference, FileChange, Snapshot
from runner.errors import CheckoutFault, PushRejected, RunnerError, Unavailable
from runner.model import (
    Candidate,
    Check,
    CheckState,
    Merged,
    MergeRefused,
    Pull,
    PullDraft,
    Remote,
    RequiredCheck,
    ReviewedHead,
)
from runner.ports import Checkouts, Forge
from runner.receipts import Deed, Detail, Kind, Receipts, Stage, subject
from runner.remarks import Remark

T = TypeVar("T")
_REMEMBERED: Final = 1000
_HERE: Final = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True, kw_only=True)
class Giving:
    """How receipts are given. run_of_pull: whose pull request it is, "" where nobody's. pushed: what was pushed of
    late, by commit and by branch, with the run that did it: what follows a push in the same step is the same run's.
    """

    receipts: Receipts
    run_of_pull: Callable[[str, int], str]
    pushed: dict[str, str] = field(default_factory=dict)

    def give(self, deed: Deed, do: Callable[[], T], told: Callable[[T], tuple[Stage, Detail]]) -> T:
        """Do it, between its two entries. Raises what it raises, and RecordsFault: no intent, no deed."""
        intent = self.receipts.begin(deed)
        try:
            result = do()
        except RunnerError as exc:
            self.receipts.settle(deed, intent, _stage(exc), {"fault": type(exc).__name__})
            raise
        self.receipts.settle(deed, intent, *told(result))
        return result

    def remember(self, run_id: str, *names: str) -> None:
        """What bears one of the names is the run's."""
        for name in names:
            self.pushed.pop(name, None)
            self.pushed[name] = run_id
        for oldest in list(self.pushed)[:-_REMEMBERED]:
            self.pushed.pop(oldest, None)


def _stage(exc: RunnerError) -> Stage:
    """What a fault says of the deed: whether it was refused, or may have been done for all that is known."""
    if isinstance(exc, PushRejected):
        return Stage.REFUSED
    return Stage.UNKNOWN if isinstance(exc, Unavailable | CheckoutFault) else Stage.REFUSED


def _done(_result: object) -> tuple[Stage, Detail]:
    return Stage.DONE, {}


def _opened(pull: Pull) -> tuple[Stage, Detail]:
    return Stage.DONE, {"pull": pull.number, "head": pull.head_sha, "base": pull.base_sha}


def _merged(answer: Merged | MergeRefused) -> tuple[Stage, Detail]:
    if isinstance(answer, Merged):
        return Stage.DONE, {"sha": answer.sha, "as_judged": int(answer.as_judged), "branch": "deleted unless it moved"}
    return Stage.REFUSED, {"reason": answer.reason}


def _where(url: str) -> str:
    """The address without a user and, on this machine, without a port: the local forge is the same at another one."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port is not None and host not in _HERE else ""
    return f"{parts.scheme}://{host}{port}{parts.path}"


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8", "replace")).hexdigest()


@dataclass(frozen=True, kw_only=True)
class ReceiptedForge:
    """A `Forge` whose every write has its receipt."""

    forge: Forge
    giving: Giving

    def remote(self, repo: str) -> Remote:
        """See `Forge.remote`."""
        return self.forge.remote(repo)

    def default_branch(self, repo: str) -> str:
        """See `Forge.default_branch`."""
        return self.forge.default_branch(repo)

    def tip(self, repo: str, branch: str) -> str | None:
        """See `Forge.tip`."""
        return self.forge.tip(repo, branch)

    def required_checks(self, repo: str, branch: str) -> tuple[RequiredCheck, ...]:
        """See `Forge.required_checks`."""
        return self.forge.required_checks(repo, branch)

    def open_pull(self, draft: PullDraft) -> Pull:
        """See `Forge.open_pull`."""
        deed = Deed(
            kind=Kind.OPEN_PULL,
            key=subject("open_pull", draft.repo, draft.head_branch),
            run_id=self.giving.pushed.get(draft.head_branch, ""),
            detail={
                "repo": draft.repo,
                "branch": draft.head_branch,
                "onto": draft.base_branch,
                "draft": int(draft.draft),
                "labels": ", ".join(draft.labels),
                "text_sha256": _digest(draft.title, draft.body),
            },
        )
        return self.giving.give(deed, lambda: self.forge.open_pull(draft), _opened)

    def ready(self, repo: str, number: int, *, drop_labels: tuple[str, ...] = ()) -> None:
        """See `Forge.ready`."""
        detail: Detail = {"repo": repo, "pull": number, "drop_labels": ", ".join(drop_labels)}
        deed = self._of_pull(Kind.READY, repo, number, "", detail)
        self.giving.give(deed, lambda: self.forge.ready(repo, number, drop_labels=drop_labels), _done)

    def pull(self, repo: str, number: int) -> Pull | None:
        """See `Forge.pull`."""
        return self.forge.pull(repo, number)

    def pull_of(self, repo: str, head_branch: str) -> Pull | None:
        """See `Forge.pull_of`."""
        return self.forge.pull_of(repo, head_branch)

    def checks(self, repo: str, sha: str) -> tuple[Check, ...]:
        """See `Forge.checks`."""
        return self.forge.checks(repo, sha)

    def check_log(self, repo: str, check: Check, max_bytes: int) -> str:
        """See `Forge.check_log`."""
        return self.forge.check_log(repo, check, max_bytes)

    def set_check(self, repo: str, sha: str, name: str, state: CheckState, summary: str) -> None:
        """See `Forge.set_check`."""
        deed = Deed(
            kind=Kind.SET_CHECK,
            key=subject("set_check", repo, sha, name),
            run_id=self.giving.pushed.get(sha, ""),
            detail={"repo": repo, "commit": sha, "name": name, "state": state.value, "text_sha256": _digest(summary)},
        )
        self.giving.give(deed, lambda: self.forge.set_check(repo, sha, name, state, summary), _done)

    def remarks(self, repo: str, number: int) -> tuple[Remark, ...]:
        """See `Forge.remarks`."""
        return self.forge.remarks(repo, number)

    def say(self, repo: str, number: int, key: str, body: str, *, remark: str | None = None) -> None:
        """See `Forge.say`."""
        detail: Detail = {
            "repo": repo,
            "pull": number,
            "comment": key,
            "answers": remark or "",
            "text_sha256": _digest(body),
        }
        deed = self._of_pull(Kind.SAY, repo, number, key, detail)
        self.giving.give(deed, lambda: self.forge.say(repo, number, key, body, remark=remark), _done)

    def merge(self, reviewed: ReviewedHead, title: str, body: str) -> Merged | MergeRefused:
        """See `Forge.merge`."""
        detail: Detail = {
            "repo": reviewed.repo,
            "pull": reviewed.pull,
            "head": reviewed.head_sha,
            "base": reviewed.base_sha,
            "tree": reviewed.tree,
            "text_sha256": _digest(title, body),
        }
        deed = self._of_pull(Kind.MERGE, reviewed.repo, reviewed.pull, "", detail)
        return self.giving.give(deed, lambda: self.forge.merge(reviewed, title, body), _merged)

    def _of_pull(self, kind: Kind, repo: str, number: int, what: str, detail: Detail) -> Deed:
        run_id = self.giving.run_of_pull(repo, number)
        return Deed(kind=kind, key=subject(kind.value, repo, number, what), run_id=run_id, detail=detail)


@dataclass(frozen=True, kw_only=True)
class ReceiptedCheckouts:
    """`Checkouts` whose every use of a credential has its receipt: fetches and pushes."""

    checkouts: Checkouts
    giving: Giving

    def refresh(self, repo: str, remote: Remote) -> None:
        """See `Checkouts.refresh`."""
        deed = Deed(kind=Kind.FETCH, key=subject("fetch", repo), detail={"repo": repo, "from": _where(remote.url)})
        self.giving.give(deed, lambda: self.checkouts.refresh(repo, remote), _done)

    def branch_head(self, repo: str, branch: str) -> str | None:
        """See `Checkouts.branch_head`."""
        return self.checkouts.branch_head(repo, branch)

    def clone(self, run_id: str, repo: str) -> None:
        """See `Checkouts.clone`."""
        self.checkouts.clone(run_id, repo)

    def read(self, run_id: str, commit: str, path: str) -> bytes | None:
        """See `Checkouts.read`."""
        return self.checkouts.read(run_id, commit, path)

    def paths(self, run_id: str, commit: str) -> tuple[str, ...]:
        """See `Checkouts.paths`."""
        return self.checkouts.paths(run_id, commit)

    def export(self, run_id: str, commit: str, destination: Path) -> None:
        """See `Checkouts.export`."""
        self.checkouts.export(run_id, commit, destination)

    def changes(self, run_id: str, commit: str, tree: Path) -> Snapshot:
        """See `Checkouts.changes`."""
        return self.checkouts.changes(run_id, commit, tree)

    def commit(self, run_id: str, base: str, parent: str, changes: tuple[FileChange, ...], message: str) -> Candidate:
        """See `Checkouts.commit`."""
        return self.checkouts.commit(run_id, base, parent, changes, message)

    def differing(self, run_id: str, old: str, new: str) -> tuple[Difference, ...]:
        """See `Checkouts.differing`."""
        return self.checkouts.differing(run_id, old, new)

    def graft(self, run_id: str, *, onto: str, source: str, paths: tuple[str, ...]) -> Candidate:
        """See `Checkouts.graft`."""
        return self.checkouts.graft(run_id, onto=onto, source=source, paths=paths)

    def tree_of(self, run_id: str, commit: str) -> str:
        """See `Checkouts.tree_of`."""
        return self.checkouts.tree_of(run_id, commit)

    def diff(self, run_id: str, old: str, new: str, max_bytes: int) -> str:
        """See `Checkouts.diff`."""
        return self.checkouts.diff(run_id, old, new, max_bytes)

    def merge(self, run_id: str, base: str, head: str, message: str) -> Candidate | None:
        """See `Checkouts.merge`."""
        return self.checkouts.merge(run_id, base, head, message)

    def follows(self, run_id: str, old: str, new: str) -> bool:
        """See `Checkouts.follows`."""
        return self.checkouts.follows(run_id, old, new)

    def push(self, run_id: str, remote: Remote, commit: str, branch: str) -> None:
        """See `Checkouts.push`."""
        self.giving.remember(run_id, commit, branch)
        deed = Deed(
            kind=Kind.PUSH,
            key=subject("push", run_id, branch),
            run_id=run_id,
            detail={"to": _where(remote.url), "branch": branch, "commit": commit},
        )
        self.giving.give(deed, lambda: self.checkouts.push(run_id, remote, commit, branch), _done)

    def remove(self, run_id: str) -> None:
        """See `Checkouts.remove`."""
        self.checkouts.remove(run_id)
