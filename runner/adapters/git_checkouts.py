"""`runner.ports.Checkouts` with git: a bare mirror per repository and a bare clean clone per run.

Nothing is ever checked out in either. What containers see is exported without `.git`; what comes back is read as
plain files and becomes a commit by plumbing alone, so no hook, filter or attribute of a repository is ever obeyed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from runner.adapters.file_lock import held
from runner.adapters.git_command import GitCommand, checked_oid, checked_origin
from runner.adapters.git_copying import copy_objects
from runner.adapters.git_index import changed_tree, grafted_tree
from runner.adapters.git_memory import Remembered
from runner.adapters.git_mending import fetch_or_mend
from runner.adapters.git_plumbing import BareRepository, Identity
from runner.adapters.git_process import GitTask
from runner.adapters.git_push import push_commit, remember
from runner.adapters.tree_listing import LS_TREE, MAX_ENTRIES, TreeEntry, parse_listing
from runner.adapters.tree_walk import walk
from runner.adapters.tree_write import empty_directory, in_writing_order, write_tree
from runner.changes import Difference, FileChange, Snapshot
from runner.errors import CheckoutFault
from runner.model import Candidate, Remote

_MAX_READ: Final = 1024 * 1024
_REMEMBERED_BYTES: Final = 64 * 1024
_REMEMBERED_ENTRIES: Final = 10_000
_RUN_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class GitCheckouts:
    """Mirrors and clean clones below `root`, which belongs to the daemon alone."""

    def __init__(
        self,
        root: Path,
        *,
        name: str,
        email: str,
        timeout_s: float = 300.0,
        certificates: Mapping[str, str] | None = None,
    ) -> None:
        """Commit as `name` <`email`>; no git command and no wait for another one takes longer than `timeout_s`.

        certificates: `runner.adapters.git_command.CERTIFICATE_VARIABLES` that git needs on this host.
        """
        self._root = root.absolute()
        self._identity = Identity(name=name, email=email)
        self._timeout_s = timeout_s
        self._git = GitCommand(self._root / "home", timeout_s=timeout_s, certificates=certificates)
        self._listings = Remembered[tuple[TreeEntry, ...]](most=8)
        self._small_files = Remembered[bytes](most=64)
        self._dates = Remembered[int](most=64)

    # --- mirrors -----------------------------------------------------------------------------------------------

    def refresh(self, repo: str, remote: Remote) -> None:
        """Fetch every branch of the remote into the mirror."""
        checked_origin(remote)
        mirror = self.mirror(repo)
        with self._only_one(mirror):
            mirror.create()
            fetch_or_mend(mirror, remote, lambda: self._fetch(mirror, remote, "fetch from the remote"))

    def branch_head(self, repo: str, branch: str) -> str | None:
        """Commit of the branch in the mirror."""
        mirror = self.mirror(repo)
        return mirror.head(branch) if mirror.exists else None

    # --- clean clones ------------------------------------------------------------------------------------------

    def clone(self, run_id: str, repo: str) -> None:
        """Copy the mirror's branches and objects; nothing is shared or linked."""
        clone, mirror = self._clone(run_id), self.mirror(repo)
        with self._only_one(clone), self._only_one(mirror):
            if not mirror.exists:
                raise CheckoutFault("There is no mirror of that repository yet; refresh it first.")
            clone.create()
            try:
                # In use from now on, for whoever puts away what nobody uses.
                os.utime(mirror.place)
                copy_objects(mirror.place, clone.place)
            except OSError as exc:
                raise CheckoutFault("The mirror could not be copied; check the disk and the state directory.") from exc
            clone.set_branches(mirror.branches())

    def remove(self, run_id: str) -> None:
        """Delete the clone's directory."""
        clone = self._clone(run_id)
        with self._only_one(clone):
            if clone.place.exists():
                try:
                    # Without a HEAD it is no repository any more, whatever a crash leaves of the rest.
                    (clone.place / "HEAD").unlink(missing_ok=True)
                    shutil.rmtree(clone.place)
                except OSError as exc:
                    raise CheckoutFault("A clean clone could not be removed; check the state directory.") from exc
            self._lock_of(clone).unlink(missing_ok=True)

    # --- reading -----------------------------------------------------------------------------------------------

    def read(self, run_id: str, commit: str, path: str) -> bytes | None:
        """Bytes of a plain file at a commit."""
        clone = self._existing(run_id)
        if not path or "\0" in path:
            return None
        wanted = path.encode("utf-8", "surrogateescape")
        for entry in self._listing(run_id, commit):
            if entry.path == wanted and entry.mode in {"100644", "100755"} and entry.size <= _MAX_READ:
                return self._content(clone, entry)
        return None

    def paths(self, run_id: str, commit: str) -> tuple[str, ...]:
        """Every path at a commit; a name that is not UTF-8 is shown with backslash escapes."""
        names = sorted(entry.path.decode("utf-8", "backslashreplace") for entry in self._listing(run_id, commit))
        return tuple(names[:MAX_ENTRIES])

    def tree_of(self, run_id: str, commit: str) -> str:
        """Tree id of a commit."""
        # Always read: this is how what is about to be pushed is held against what was judged.
        return self._existing(run_id).tree_of(commit)

    def diff(self, run_id: str, old: str, new: str, max_bytes: int) -> str:
        """Unified diff, without renames and without any driver of the repository's."""
        return self._existing(run_id).diff(old, new, max_bytes)

    def export(self, run_id: str, commit: str, destination: Path) -> None:
        """Write raw blobs: no line ending is changed, no filter run, no submodule entered."""
        entries = in_writing_order(self._whole(run_id, commit))
        empty_directory(destination)
        task = GitTask(
            arguments=("cat-file", "--batch"),
            deed="read a commit's files",
            repository=self._clone(run_id).place,
            feed="".join(f"{entry.oid}\n" for entry in entries).encode(),
        )
        with self._git.streaming(task) as running:
            write_tree(entries, running.stdout, destination)
            running.finish()

    def changes(self, run_id: str, commit: str, tree: Path) -> Snapshot:
        """Compare by content and mode; submodules and empty directories do not count."""
        return walk(tree, {entry.path: entry for entry in self._whole(run_id, commit)})

    def differing(self, run_id: str, old: str, new: str) -> tuple[Difference, ...]:
        """By what the listings say: kind, mode and content; a name that is not UTF-8 keeps its bytes as surrogates."""
        before = {entry.path: (entry.mode, entry.oid) for entry in self._whole(run_id, old)}
        after = {entry.path: (entry.mode, entry.oid) for entry in self._whole(run_id, new)}
        return tuple(
            Difference(path=path.decode("utf-8", "surrogateescape"), before=path in before, after=path in after)
            for path in sorted(before.keys() | after.keys())
            if before.get(path) != after.get(path)
        )

    # --- making commits ----------------------------------------------------------------------------------------

    def commit(self, run_id: str, base: str, parent: str, changes: tuple[FileChange, ...], message: str) -> Candidate:
        """Build the tree in a throw-away index and commit it, dated one second after `parent`."""
        clone = self._existing(run_id)
        with self._only_one(clone):
            return self._own(clone, changed_tree(clone, base, changes), parent, message)

    def merge(self, run_id: str, base: str, head: str, message: str) -> Candidate | None:
        """Merge without a work tree; the result has `base` as its only parent."""
        clone = self._existing(run_id)
        with self._only_one(clone):
            tree = clone.merged_tree(base, head)
            return None if tree is None else self._own(clone, tree, base, message)

    def graft(self, run_id: str, *, onto: str, source: str, paths: tuple[str, ...]) -> Candidate:
        """Take the blobs as they are, by a throw-away index."""
        clone = self._existing(run_id)
        wanted = {path.encode("utf-8", "surrogateescape") for path in paths}
        entries = [entry for entry in self._whole(run_id, source) if entry.path in wanted]
        with self._only_one(clone):
            return self._own(clone, grafted_tree(clone, onto, wanted, entries), onto, "A tree to judge by")

    def follows(self, run_id: str, old: str, new: str) -> bool:
        """By git's own walk."""
        return self._existing(run_id).is_ancestor(old, new)

    # --- pushing -----------------------------------------------------------------------------------------------

    def push(self, run_id: str, remote: Remote, commit: str, branch: str) -> None:
        """Push one commit to one branch, on condition that the branch is still where it was just seen."""
        push_commit(self._existing(run_id), remote, commit, branch)

    # --- shared ------------------------------------------------------------------------------------------------

    def mirror(self, repo: str) -> BareRepository:
        """The repository's mirror, whether or not it is there: for reading."""
        # Two repositories may differ in case alone; the digest keeps them apart where the file system does not.
        digest = hashlib.sha256(repo.encode("utf-8", "replace")).hexdigest()[:12]
        name = f"{quote(repo, safe='')[:100]}-{digest}.git"
        return BareRepository(git=self._git, place=self._root / "mirrors" / name)

    def _clone(self, run_id: str) -> BareRepository:
        if not _RUN_ID.fullmatch(run_id):
            raise CheckoutFault("A run id must be letters, digits, dots and dashes; use the one that was given.")
        return BareRepository(git=self._git, place=self._root / "clones" / f"{run_id}.git")

    def _existing(self, run_id: str) -> BareRepository:
        clone = self._clone(run_id)
        if not clone.exists:
            raise CheckoutFault("The run has no clone (a while after a run has ended it is put away); see its branch.")
        return clone

    def _lock_of(self, repository: BareRepository) -> Path:
        return self._root / "locks" / f"{repository.place.parent.name}-{repository.place.name}.lock"

    @contextmanager
    def _only_one(self, repository: BareRepository) -> Iterator[None]:
        with held(self._lock_of(repository), timeout_s=self._timeout_s):
            repository.clear_stale_locks()
            yield

    def _fetch(self, repository: BareRepository, remote: Remote, deed: str) -> None:
        arguments = (
            "fetch",
            "--quiet",
            "--prune",
            "--force",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--update-head-ok",
            remote.url,
            "+refs/heads/*:refs/heads/*",
        )
        self._git.run(GitTask(arguments=arguments, deed=deed, repository=repository.place, remote=remote))

    def _listing(self, run_id: str, commit: str) -> tuple[TreeEntry, ...]:
        """The commit's tree: what an id stands for never changes, so the last few are remembered."""
        clone = self._existing(run_id)
        known = self._listings.get(checked_oid(commit))
        if known is None:
            known = parse_listing(clone.ask(*LS_TREE, commit, deed="list a commit's files").out)
            if len(known) <= _REMEMBERED_ENTRIES:
                self._listings.keep(commit, known)
        return known

    def _content(self, clone: BareRepository, entry: TreeEntry) -> bytes:
        known = self._small_files.get(entry.oid)
        if known is None:
            known = clone.ask("cat-file", "blob", entry.oid, deed="read a file").out
            if entry.size <= _REMEMBERED_BYTES:
                self._small_files.keep(entry.oid, known)
        return known

    def _whole(self, run_id: str, commit: str) -> tuple[TreeEntry, ...]:
        entries = self._listing(run_id, commit)
        if len(entries) > MAX_ENTRIES:
            raise CheckoutFault(f"The commit holds more than {MAX_ENTRIES} files; take a smaller repository.")
        return entries

    def _own(self, clone: BareRepository, tree: str, parent: str, message: str) -> Candidate:
        dated = self._dates.get(parent)
        if dated is None:
            dated = clone.date_of(parent)
            self._dates.keep(parent, dated)
        commit = clone.commit_tree(tree, parent, message, self._identity, dated + 1)
        remember(clone, commit)
        return Candidate(commit=commit, tree=tree)
