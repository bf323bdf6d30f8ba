"""What the runner needs of the world. Each docstring is the contract that every adapter and every fake is held to.

All methods are synchronous, safe to repeat, and bounded in time by their adapter; each may raise the faults named.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from runner.changes import Difference, FileChange, Snapshot
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
from runner.remarks import Remark
from runner.sandboxes import SandboxListing, SandboxSpec, SandboxStatus


class Clock(Protocol):
    """Time, so that a test can own it."""

    def now(self) -> float:
        """UTC seconds since the epoch."""

    def monotonic(self) -> float:
        """Seconds that only ever go forward; for deadlines."""

    def sleep(self, seconds: float) -> None:
        """Return after about that many seconds."""


class Containers(Protocol):
    """The sealed sandboxes of this host. Raises EngineDown when the engine does not answer, DiskLow when its
    storage is full.
    """

    def image_id(self, reference: str) -> str:
        """The id ("sha256:…" or 64 hex digits) of a local image. Never pulls. Raises ImageMissing."""

    def ready(self, spec: SandboxSpec) -> None:
        """Have what a `start` of the same spec would make first, its relay among it, so that less is left to do then.

        The sandbox itself does not run: it counts as absent, and `start` starts it. One that is there is left as it
        is. May do nothing at all. Raises ImageMissing, SandboxFault.
        """

    def start(self, spec: SandboxSpec) -> bool:
        """Have the sandbox of that name running or already exited; True if it was created by this call.

        Its services are started first; each is known to `status` and `output` by its own name, and is in no listing.

        A sandbox of the same name and the same `ashigaru.run` label is *adopted* as it is, running or exited, and
        never started a second time; one that was created but never started is started. One of the same name that is
        not ours raises SandboxFault. Raises ImageMissing, SandboxFault.
        """

    def status(self, name: str) -> SandboxStatus:
        """What the sandbox is doing; ABSENT for a name nobody knows."""

    def output(self, name: str, max_bytes: int) -> bytes:
        """The last `max_bytes` bytes of what the sandbox printed (stdout and stderr, as they came); b"" if absent."""

    def stop(self, name: str, grace_s: float) -> None:
        """SIGTERM, then SIGKILL after `grace_s`; returns when the sandbox no longer runs. Absent or exited: nothing."""

    def remove(self, name: str) -> None:
        """No container, pod, relay or service of that sandbox is left. Running ones are killed. Absent: nothing."""

    def listing(self, run_id: str | None = None) -> tuple[SandboxListing, ...]:
        """Every sandbox labelled as ours (roles relay and service left out), of one run or of all.

        Ours by the label `ashigaru.host`: another daemon's on the same podman are in no listing.
        """


class SecretScanner(Protocol):
    """Knows credentials of the world's services by their looks. Asks nobody whether they are good."""

    def findings(self, lines: Sequence[str], *, words: bool) -> tuple[tuple[int, str], ...]:
        """(index of the line, what it looks like) for each line that holds one; at most 20. Never the text itself.

        words: also what is only called a password, a token or the like by the word before it.
        """


class Checkouts(Protocol):
    """Git, done by the daemon in repositories that no container ever sees. Raises CheckoutFault, ForgeDown, DiskLow.

    `run_id` names the run's clean clone, `repo` the repository's mirror.
    """

    def refresh(self, repo: str, remote: Remote) -> None:
        """Bring the bare mirror up to the remote's branches; makes it the first time. Raises ForgeDown."""

    def branch_head(self, repo: str, branch: str) -> str | None:
        """Commit of the branch in the mirror as of the last refresh; None if there is none."""

    def clone(self, run_id: str, repo: str) -> None:
        """Have the run's clean clone, with every object of the mirror. Repeats bring in what is new."""

    def read(self, run_id: str, commit: str, path: str) -> bytes | None:
        """A file's bytes at a commit (at most 1 MiB; None if absent, not a plain file, or larger)."""

    def paths(self, run_id: str, commit: str) -> tuple[str, ...]:
        """Every path in the commit's tree, sorted; at most 200,000."""

    def export(self, run_id: str, commit: str, destination: Path) -> None:
        """Write the commit's files, without `.git`, into `destination`, which is emptied first."""

    def changes(self, run_id: str, commit: str, tree: Path) -> Snapshot:
        """What differs between the commit and the files under `tree`, without following a symlink or running anything.

        Anything that cannot be taken (device, FIFO, socket, `.git` in any spelling, a file or a total over its limit)
        is in `odd`, with a reason, and not in `changes`. Bounded: at most 200,000 entries are walked, the rest is odd.
        """

    def commit(self, run_id: str, base: str, parent: str, changes: tuple[FileChange, ...], message: str) -> Candidate:
        """Commit `changes`, applied to the tree of `base`, on top of `parent`, as the configured identity.

        Deterministic: the same arguments give the same commit id.
        """

    def tree_of(self, run_id: str, commit: str) -> str:
        """The tree id of a commit."""

    def diff(self, run_id: str, old: str, new: str, max_bytes: int) -> str:
        """Unified diff between two commits as text, cut at `max_bytes` with a last line that says so."""

    def differing(self, run_id: str, old: str, new: str) -> tuple[Difference, ...]:
        """Every path whose file or link is not the same in both commits, sorted. Raises CheckoutFault over 200,000."""

    def graft(self, run_id: str, *, onto: str, source: str, paths: tuple[str, ...]) -> Candidate:
        """The tree of `onto` with those paths as they are in `source`: absent where absent there, as a commit.

        What stands in a path's way (a file where a directory has to be, or the other way about) goes. Deterministic.
        """

    def merge(self, run_id: str, base: str, head: str, message: str) -> Candidate | None:
        """The squash of `head` onto `base` (parent `base`, tree of the merge); None where they conflict."""

    def follows(self, run_id: str, old: str, new: str) -> bool:
        """Whether `new` is `old`, or has it among its ancestors."""

    def push(self, run_id: str, remote: Remote, commit: str, branch: str) -> None:
        """Have `branch` at `commit` on the remote. Raises PushRejected when the remote branch holds commits that are
        neither ancestors of `commit` nor commits of this clean clone, ForgeDown.
        """

    def remove(self, run_id: str) -> None:
        """The run's clean clone is gone."""


class Forge(Protocol):
    """Where repositories, issues and pull requests live. Raises UnknownRepo, NotPossible, ForgeDown.

    Every write is looked up before it is done again, so that each is safe to repeat after any failure. Text that is
    given is written as it is: whoever gives it has made it harmless.
    """

    def remote(self, repo: str) -> Remote:
        """Where to fetch from and push to, with a credential that is good for at least ten minutes."""

    def default_branch(self, repo: str) -> str:
        """Name of the branch that pull requests go to.

        Asked when a ticket comes in, so this is where a repository that cannot be worked is refused, each with its
        cure: unknown (UnknownRepo), renamed since (UnknownRepo, which says the new name), a fork, archived
        (NotPossible). A run under way when its repository is renamed goes on under the old name.
        """

    def tip(self, repo: str, branch: str) -> str | None:
        """The commit that the branch is at, None where there is no such branch; it may be a moment old. Cheap."""

    def required_checks(self, repo: str, branch: str) -> tuple[RequiredCheck, ...]:
        """What the branch's protection requires of a head before it may be merged, sorted; empty: nothing."""

    def open_pull(self, draft: PullDraft) -> Pull:
        """The open pull request of (repo, head_branch): the one there is, with title, body, labels and `draft` as
        asked, or a new one.
        """

    def ready(self, repo: str, number: int, *, drop_labels: tuple[str, ...] = ()) -> None:
        """The pull request is open for review: no draft any more, and without these labels."""

    def pull(self, repo: str, number: int) -> Pull | None:
        """The pull request now, or None. One whose head is in another repository (a fork) is None too."""

    def pull_of(self, repo: str, head_branch: str) -> Pull | None:
        """The newest pull request from that branch of the repository itself, open or not, or None.

        Whether it can be merged may be unknown.
        """

    def checks(self, repo: str, sha: str) -> tuple[Check, ...]:
        """The latest of every check on the commit, by (source, workflow, name), sorted by name."""

    def check_log(self, repo: str, check: Check, max_bytes: int) -> str:
        """What a check printed or wrote: the end of its log, else its summary; "" where there is nothing to be had."""

    def set_check(self, repo: str, sha: str, name: str, state: CheckState, summary: str) -> None:
        """Have our own check of that name on the commit in that state."""

    def remarks(self, repo: str, number: int) -> tuple[Remark, ...]:
        """What was said of the pull request by others than ourselves, oldest first; the newest 300.

        Reviews without a text and without an ask (an approval, a review that only carries lines) are left out.
        """

    def say(self, repo: str, number: int, key: str, body: str, *, remark: str | None = None) -> None:
        """Have our comment of that key (1 to 80 of [a-z0-9:_-]) on the pull request; a second time changes nothing.

        remark: the id of what is answered; a LINE is answered in its own thread, anything else in the conversation.
        """

    def merge(self, reviewed: ReviewedHead, title: str, body: str) -> Merged | MergeRefused:
        """Squash-merge exactly `reviewed.head_sha` onto exactly `reviewed.base_sha`; refused when either moved.

        A draft is made ready first. The head branch is gone afterwards, unless it has moved on. A pull request that
        is already merged with that head gives the same Merged again.
        """
