"""Takes a git repository from somewhere else into the local forge."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Final
from urllib.parse import quote

from runner.adapters.git_plumbing import BareRepository, branch_ref
from runner.adapters.git_process import GitTask
from runner.errors import BadIntent, CheckoutFault, NotPossible
from runner.model import Remote

_REFS: Final = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")


def named_source(source: str) -> tuple[Remote, str]:
    """Where to copy from, and the name it suggests. Raises BadIntent."""
    if source.startswith(("http://", "https://", "file:///")):
        url = source
    elif "://" not in source and Path(source).is_dir():
        source = str(Path(source).resolve())
        url = f"file://{quote(source)}"
    else:
        raise BadIntent("The source must be a directory on this host or an http(s) address; check its spelling.")
    return Remote(url=url), source.rstrip("/").removesuffix("/.git").rsplit("/", 1)[-1].removesuffix(".git")


def name_on_disk(repo: str) -> str:
    """One plain file name that stands for a repository's name."""
    return hashlib.sha256(repo.encode("utf-8", "replace")).hexdigest()[:16]


def copy_into(remote: Remote, bare: BareRepository, *, incoming: Path) -> None:
    """Have `bare`, with the remote's branches, tags and default branch, or nothing at all in its place.

    incoming: where the copy is made; what an earlier try left there is dropped. Raises NotPossible where there is no
    commit, ForgeDown, CheckoutFault.
    """
    try:
        if incoming.exists():
            shutil.rmtree(incoming)
        draft = BareRepository(git=bare.git, place=incoming)
        draft.create()
        head = _fetch(remote, draft)
        draft.ask("symbolic-ref", "HEAD", branch_ref(head), deed="set a default branch")
        bare.place.parent.mkdir(parents=True, exist_ok=True)
        incoming.rename(bare.place)
    except OSError as exc:
        raise CheckoutFault("The forge's directory cannot be written; check the disk and its rights.") from exc


def _fetch(remote: Remote, into: BareRepository) -> str:
    """Copy branches and tags; the name of the default branch."""
    # A person named this path, whoever owns it: git's ownership check has nothing to add.
    trust = ("--upload-pack=git -c safe.directory=* upload-pack",) if remote.url.startswith("file:") else ()
    look = GitTask(
        arguments=("ls-remote", *trust, "--symref", remote.url, "HEAD", "refs/heads/*"),
        deed="look at the repository to add",
        repository=into.place,
        remote=remote,
    )
    listed = into.git.run(look).text().splitlines()
    named = [line.split()[1] for line in listed if line.startswith("ref: refs/heads/")]
    branches = [line.split("\t")[1] for line in listed if "\trefs/heads/" in line]
    found = [ref for ref in (*named, "refs/heads/main", "refs/heads/master", *branches) if ref in branches]
    if not found:
        raise NotPossible("That repository has no commit on any branch; commit something and add it again.")
    quiet = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
    into.git.run(
        GitTask(
            arguments=("fetch", *quiet, "--update-head-ok", *trust, remote.url, *_REFS),
            deed="copy the repository to add",
            repository=into.place,
            remote=remote,
        )
    )
    return found[0].removeprefix("refs/heads/")
