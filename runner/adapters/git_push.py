"""Pushes one commit to one branch, over nobody's work but the clean clone's own."""

from __future__ import annotations

from typing import Final

from runner.adapters.git_command import checked_oid
from runner.adapters.git_plumbing import BareRepository, branch_ref
from runner.adapters.git_process import GitTask, complaint
from runner.errors import CheckoutFault, PushRejected
from runner.model import Remote

_MAX_FOREIGN: Final = 1000
_OWN: Final = "refs/ashigaru/own/"


def remember(clone: BareRepository, commit: str) -> None:
    """Know from now on that the commit was made in this clone. Raises CheckoutFault."""
    if not clone.point(f"{_OWN}{commit}", commit):
        raise CheckoutFault("A new commit could not be remembered in the clean clone; check the disk.")


def push_commit(clone: BareRepository, remote: Remote, commit: str, branch: str) -> None:
    """Have `branch` at `commit` on the remote, if it is still where it was just seen, and may be moved from there.

    It may where all that would be lost was made in this clone. Raises PushRejected, ForgeDown, CheckoutFault.
    """
    ref = branch_ref(branch)
    # A branch that this clone never saw is most likely not there: asking first would cost as much as the push itself.
    if clone.head(branch) is None and _pushed(clone, remote, checked_oid(commit), ref, there=None) is None:
        return
    there = _remote_head(clone, remote, ref)
    if there == checked_oid(commit):
        return
    if there is not None and not _is_ours_to_move(clone, there, commit):
        raise PushRejected(f"Branch {branch} holds commits that this run did not make; take them in or rename it.")
    why = _pushed(clone, remote, commit, ref, there)
    if why is not None:
        raise PushRejected(f"The remote refused branch {branch} ({why}); refresh and try again.")


def _pushed(clone: BareRepository, remote: Remote, commit: str, ref: str, there: str | None) -> str | None:
    """None where `ref` went from `there` (None: from nothing) to the commit; else why the remote would not have it."""
    lease = f"--force-with-lease={ref}:{there or ''}"
    task = GitTask(
        arguments=("push", "--porcelain", "--no-verify", lease, remote.url, f"{commit}:{ref}"),
        deed="push to the remote",
        repository=clone.place,
        remote=remote,
        statuses=frozenset({0, 1}),
    )
    reply = clone.git.run(task)
    if reply.status == 0:
        return None
    said = reply.out.decode("utf-8", "replace").replace("\t", " ").splitlines()
    refusals = [line for line in said if line.startswith("!")]
    if not refusals:
        raise task.fault(complaint(reply.err, remote), reply.err)
    return complaint(refusals[0], remote)


def _remote_head(clone: BareRepository, remote: Remote, ref: str) -> str | None:
    task = GitTask(
        arguments=("ls-remote", "--refs", remote.url, ref),
        deed="ask the remote for a branch",
        repository=clone.place,
        remote=remote,
    )
    for line in clone.git.run(task).text().splitlines():
        oid, _, name = line.partition("\t")
        if name == ref:
            return checked_oid(oid)
    return None


def _is_ours_to_move(clone: BareRepository, there: str, commit: str) -> bool:
    if not clone.holds(there):
        return False
    arguments = ("rev-list", f"--max-count={_MAX_FOREIGN}", there, f"^{checked_oid(commit)}")
    foreign = clone.ask(*arguments, deed="compare with the remote branch").text().split()
    own = clone.ask("for-each-ref", "--format=%(objectname)", _OWN, deed="list own commits").text().split()
    return len(foreign) < _MAX_FOREIGN and set(foreign) <= set(own)
