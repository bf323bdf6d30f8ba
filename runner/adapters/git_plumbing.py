"""What is asked of one bare repository: names resolved, trees merged, commits made. All local, no transport."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runner.adapters.git_command import GitCommand, Reply, checked_oid
from runner.adapters.git_process import GitTask
from runner.errors import CheckoutFault
from runner.files import read_at_most

_NO: Final = frozenset({0, 1})
_OID_LINE: Final = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64})\n")
_BRANCHES: Final = "refs/heads/"
_IDENTITY: Final = re.compile(r"[^<>\x00-\x1f\x7f]{1,200}")


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who commits. Raises CheckoutFault where git could not write it down."""

    name: str
    email: str

    def __post_init__(self) -> None:
        """Refuse what would break a commit's header."""
        if not all(_IDENTITY.fullmatch(text) and text.strip() for text in (self.name, self.email)):
            raise CheckoutFault("The commit identity must be a name and an address without '<' or '>'; correct it.")


@dataclass(frozen=True, kw_only=True)
class BareRepository:
    """One bare repository of the daemon's own. Every method raises CheckoutFault when git cannot do it."""

    git: GitCommand
    place: Path

    def ask(
        self,
        *arguments: str,
        deed: str,
        feed: bytes = b"",
        variables: Mapping[str, str] | None = None,
        statuses: frozenset[int] = frozenset({0}),
    ) -> Reply:
        """A local command's answer."""
        task = GitTask(
            arguments=arguments,
            deed=deed,
            repository=self.place,
            feed=feed,
            variables=variables or {},
            statuses=statuses,
        )
        return self.git.run(task)

    @property
    def _packed(self) -> Path:
        return self.place / "packed-refs"

    @property
    def exists(self) -> bool:
        """Whether there is a repository."""
        return (self.place / "HEAD").is_file()

    def create(self) -> None:
        """Have a bare repository, without what a template would bring; made whole if it is not."""
        if self.exists and (self.place / "objects" / "info").is_dir():  # what git makes last
            return
        arguments = ("init", "--bare", "--quiet", "--template=", "--initial-branch=main", str(self.place))
        self.place.parent.mkdir(parents=True, exist_ok=True)
        self.git.run(GitTask(arguments=arguments, deed="make a repository"))

    def clear_stale_locks(self) -> None:
        """Lock files of commands that were killed are gone. Only for the one who holds the repository's lock."""
        for stale in (*self.place.glob("*.lock"), *self.place.glob("refs/**/*.lock")):
            stale.unlink(missing_ok=True)

    def clear_halves(self) -> None:
        """What a packing that was killed had packed, or was packing, and not yet named is gone.

        Git leaves the one there for good, the other for as long as what nothing reaches. Only for the one who holds the
        repository's lock. A packing that is not quite dead fails then, before it removes what it was to replace.
        """
        for halves in (".tmp-*", "tmp_pack_*"):
            for half in self.place.glob(f"objects/pack/{halves}"):
                half.unlink(missing_ok=True)

    def head(self, branch: str) -> str | None:
        """Commit of the branch, or None."""
        # A branch that was moved since its repository was packed is a file: reading it spares a process.
        loose = self.place / branch_ref(branch)
        if loose.is_file() and (read := _OID_LINE.fullmatch(loose.read_bytes())):
            return read[1].decode("ascii")
        if self.exists and not os.path.lexists(loose) and not self._packed.exists():
            return None
        reply = self.ask(
            "rev-parse", "--quiet", "--verify", f"{branch_ref(branch)}^{{commit}}", deed="find a branch", statuses=_NO
        )
        return reply.text() or None

    def branches(self) -> dict[str, str]:
        """Every branch's full name, and the commit it is at."""
        listed = self.ask("for-each-ref", "--format=%(objectname) %(refname)", _BRANCHES, deed="list the branches").out
        pairs = (line.split(" ", 1) for line in listed.decode("utf-8", "surrogateescape").splitlines())
        return {name: oid for oid, name in pairs}

    def set_branches(self, wanted: Mapping[str, str]) -> None:
        """Have exactly these branches, each at its commit, which is here already."""
        there = self.branches() if any((self.place / "refs" / "heads").iterdir()) or self._packed.exists() else {}
        moved = [f"update {name}\0{oid}\0\0" for name, oid in wanted.items() if there.get(name) != oid]
        gone = [f"delete {name}\0\0" for name in there if name not in wanted]
        # Two transactions: a branch may have to go for one below its name to come.
        for lines in (gone, moved):
            if lines:
                feed = "".join(lines).encode("utf-8", "surrogateescape")
                self.ask("update-ref", "--no-deref", "--stdin", "-z", deed="take over the branches", feed=feed)

    def holds(self, commit: str) -> bool:
        """Whether the commit is here."""
        reply = self.ask(
            "cat-file", "-e", f"{checked_oid(commit)}^{{commit}}", deed="look for a commit", statuses=_NO | {128}
        )
        return reply.status == 0

    def tree_of(self, commit: str) -> str:
        """The tree id of a commit."""
        return self.ask(
            "rev-parse", "--quiet", "--verify", f"{checked_oid(commit)}^{{tree}}", deed="find a commit's tree"
        ).text()

    def is_ancestor(self, old: str, new: str) -> bool:
        """Whether `old` is `new` or one of its ancestors."""
        reply = self.ask(
            "merge-base",
            "--is-ancestor",
            checked_oid(old),
            checked_oid(new),
            deed="compare two commits",
            statuses=_NO,
        )
        return reply.status == 0

    def fork_point(self, one: str, other: str) -> str | None:
        """The best common ancestor of two commits; None where they have none."""
        reply = self.ask("merge-base", checked_oid(one), checked_oid(other), deed="compare two commits", statuses=_NO)
        return reply.text() or None

    def merged_tree(self, base: str, head: str) -> str | None:
        """The tree of `head` merged into `base`; None where they conflict."""
        arguments = ("merge-tree", "--write-tree", "--no-messages", "--name-only", checked_oid(base), checked_oid(head))
        try:
            reply = self.ask(*arguments, deed="merge two commits", statuses=_NO)
        except CheckoutFault:
            if self.fork_point(base, head) is not None:
                raise
            return None  # one of them was made anew: git does not merge what has no common past
        return reply.text() if reply.status == 0 else None

    def date_of(self, commit: str) -> int:
        """When the commit was made; UTC seconds."""
        asked = ("log", "-1", "--no-show-signature", "--format=%ct", checked_oid(commit))
        return int(self.ask(*asked, deed="date a commit").text())

    def commit_tree(self, tree: str, parent: str, message: str, identity: Identity, at: int) -> str:
        """A commit of the tree on top of `parent`, dated `at`: the same arguments give the same id."""
        date = f"@{at} +0000"
        variables = {
            "GIT_AUTHOR_NAME": identity.name,
            "GIT_AUTHOR_EMAIL": identity.email,
            "GIT_AUTHOR_DATE": date,
            "GIT_COMMITTER_NAME": identity.name,
            "GIT_COMMITTER_EMAIL": identity.email,
            "GIT_COMMITTER_DATE": date,
        }
        return self.ask(
            "commit-tree",
            checked_oid(tree),
            "-p",
            checked_oid(parent),
            "-F",
            "-",
            deed="commit a tree",
            feed=message.replace("\0", "").encode("utf-8", "replace"),
            variables=variables,
        ).text()

    def diff(self, old: str, new: str, max_bytes: int) -> str:
        """Unified diff as text, cut at `max_bytes` with a last line that says so."""
        task = GitTask(
            arguments=(
                "diff",
                "--no-ext-diff",
                "--no-textconv",
                "--no-color",
                "--no-renames",
                "--submodule=short",
                checked_oid(old),
                checked_oid(new),
            ),
            deed="compare two commits",
            repository=self.place,
        )
        with self.git.streaming(task) as running:
            out = read_at_most(running.stdout, max_bytes + 1)
            if len(out) <= max_bytes:
                running.finish()
                return out.decode("utf-8", "replace")
        return out[:max_bytes].decode("utf-8", "ignore") + f"\n[cut after {max_bytes} bytes]\n"

    def point(self, ref: str, new: str, old: str | None = None) -> bool:
        """Have `ref` at `new`, if it is at `old` (None: wherever it is); False where it is elsewhere."""
        expected = () if old is None else (checked_oid(old),)
        reply = self.ask(
            "update-ref", "--no-deref", ref, checked_oid(new), *expected, deed="move a branch", statuses=_NO | {128}
        )
        return reply.status == 0

    def drop(self, branch: str, old: str) -> None:
        """The branch is gone, if it was at `old`."""
        self.ask(
            "update-ref",
            "--no-deref",
            "-d",
            branch_ref(branch),
            checked_oid(old),
            deed="delete a branch",
            statuses=_NO | {128},
        )


_BRANCH_PART: Final = re.compile(r"(?!\.)(?!-)[^\x00-\x20\x7f~^:?*\[\\]+(?<!\.)(?<!\.lock)")


def branch_ref(branch: str) -> str:
    """The full name of a branch. Raises CheckoutFault where git would take it for something else."""
    parts = branch.split("/")
    sound = all(_BRANCH_PART.fullmatch(part) for part in parts) and ".." not in branch and "@{" not in branch
    if not sound or branch == "@" or len(branch) > 200:
        raise CheckoutFault("That is not a branch name that git would take; choose a plain one.")
    return f"refs/heads/{branch}"
