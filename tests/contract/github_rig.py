"""GitHub as the contract's second forge: the adapter over the double, and everybody else's hands in its world."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from runner.adapters.github_forge import github_forge
from runner.errors import NotPossible, UnknownRepo
from runner.model import CheckState
from runner.ports import Forge
from runner.remarks import Stance
from tests.contract.forge_rig import REPO, Others, Report, Rig, Spoken, Unworkable, source
from tests.fakes.github import check_routes, pull_routes, pull_rules, talk_routes
from tests.fakes.github.auth import Kind, Token
from tests.fakes.github.running import running_double
from tests.fakes.github.state import State
from tests.fakes.github.world import CheckRun, Job, Protection, Repo, WorkflowRun
from tests.fakes.hasty_clock import HastyClock
from tests.git_rig import git

BOT: Final = "ashigaru-bot"
SECRET: Final = "ghp_of_the_bot"
CI: Final = "github-actions"
_WORDS: Final = {
    CheckState.PENDING: ("in_progress", None),
    CheckState.PASSED: ("completed", "success"),
    CheckState.FAILED: ("completed", "failure"),
    CheckState.STALLED: ("completed", "cancelled"),
}
_REVIEWS: Final = {
    Stance.APPROVED: "APPROVED",
    Stance.CHANGES_REQUESTED: "CHANGES_REQUESTED",
    Stance.COMMENTED: "COMMENTED",
}


def add_repo(state: State, name: str, work: Path | None, *, parent: int | None = None, archived: bool = False) -> Repo:
    """A repository of the double; ours and ann's to write to."""
    with state.lock:
        repo = Repo(
            id=state.world.new_id(),
            full_name=name,
            default_branch="main",
            at=state.clock.now(),
            parent=parent,
            archived=archived,
            collaborators={BOT: "write", "ann": "write", "rita": "triage", "renovate[bot]": "write"},
        )
        state.world.user(repo.owner)
        for login in repo.collaborators:
            state.world.user(login)
        state.world.repos[repo.id] = repo
        state.git.create(repo.id, work, "main")
    return repo


def admit(state: State, secret: str = SECRET) -> None:
    """The bot's token is good."""
    state.world.user(BOT)
    state.tokens[secret] = Token(kind=Kind.CLASSIC, login=BOT, scopes=("repo",), label=BOT)


def report(state: State, repo: Repo, sha: str, told: Report, *, workflow: str = "ci") -> CheckRun:
    """A check run as an app reports it; of Actions with its workflow run and, where there is a log, its job."""
    with state.lock:
        suite = check_routes.suite_of(state, repo, sha, told.source)
        status, conclusion = _WORDS[told.state]
        run = CheckRun(
            id=state.world.new_id(),
            suite=suite.id,
            sha=sha,
            name=told.name,
            app=told.source,
            status=status,
            conclusion=conclusion,
            at=state.clock.now(),
            completed_at=None if conclusion is None else state.clock.now(),
            title=told.summary or None,
            summary=told.summary or None,
        )
        repo.checks[run.id] = run
        if told.source == CI:
            made = WorkflowRun(
                id=state.world.new_id(),
                suite=suite.id,
                sha=sha,
                branch=None,
                name=workflow,
                event="push",
                at=state.clock.now(),
            )
            repo.runs[made.id] = made
            repo.jobs[run.id] = Job(id=run.id, run=made.id, log=told.log or None)
        return run


@contextmanager
def github(tmp_path: Path) -> Iterator[Rig]:
    """GitHub, the daemon having a token."""
    work = source(tmp_path)
    with running_double(tmp_path) as double:
        state = double.state
        state.mergeable_reads = 0
        admit(state)
        repo = add_repo(state, REPO, work)
        bare = state.git.path(repo.id)

        def forge() -> Forge:
            return github_forge(f"{double.origin}/api/v3", HastyClock(), token=SECRET)

        def push(branch: str) -> str:
            git(work, "push", "--quiet", "--force", str(bare), f"HEAD:refs/heads/{branch}")
            return git(work, "rev-parse", "HEAD")

        def tip(branch: str) -> str | None:
            return git(bare, "rev-parse", "--quiet", "--verify", f"refs/heads/{branch}", check=False) or None

        yield Rig(
            forge=forge(),
            again=forge,
            source=f"status:{BOT}",
            others=others(state, repo, work),
            work=work,
            push=push,
            tip=tip,
        )


def others(state: State, repo: Repo, work: Path) -> Others:  # noqa: C901 - many hands, one thing each
    """All done in the double's world, as GitHub's own pages would."""

    def comment(number: int, text: str) -> None:
        with state.lock:
            talk_routes.add_comment(state, repo, number, "ann", text)

    def comment_line(number: int, path: str, line: int, text: str) -> None:
        with state.lock:
            commit = repo.pulls[number].head_sha
            talk_routes.add_line(state, repo, number, "ann", text, commit, path=path, line=line)

    def review(number: int, stance: Stance, text: str) -> None:
        with state.lock:
            commit = repo.pulls[number].head_sha
            talk_routes.add_review(state, repo, number, "ann", _REVIEWS[stance], text, commit)

    def said(number: int) -> tuple[Spoken, ...]:
        with state.lock:
            plain = [
                (one.id, Spoken(body=one.body, ours=one.user == BOT))
                for one in repo.comments.values()
                if one.number == number
            ]
            lines = repo.line_comments
            plain += [
                (
                    one.id,
                    Spoken(
                        body=one.body,
                        ours=one.user == BOT,
                        answers=None if one.reply_to is None else lines[one.reply_to].body,
                    ),
                )
                for one in lines.values()
                if one.number == number
            ]
        return tuple(spoken for _, spoken in sorted(plain, key=lambda pair: pair[0]))

    def strangers(number: int) -> tuple[str, ...]:
        told = {"passer-by": "I pass by.", "rita": "I may only sort.", "renovate[bot]": "I am a program."}
        with state.lock:
            for login, text in told.items():
                talk_routes.add_comment(state, repo, number, login, text)
        return tuple(told.values())

    def require(branch: str, names: tuple[str, ...]) -> None:
        repo.protections[branch] = Protection(checks=tuple((name, None) for name in names))

    def close(number: int) -> None:
        with state.lock:
            pull_rules.close(state, repo, repo.pulls[number])

    def forks() -> tuple[int, ...]:
        numbers = []
        for owner in ("fay", "gone"):
            fork = add_repo(state, f"{owner}/widgets", work, parent=repo.id)
            git(work, "checkout", "--quiet", "-B", f"from-{owner}", "main")
            git(work, "commit", "--quiet", "--allow-empty", "-m", f"by {owner}")
            git(work, "push", "--quiet", str(state.git.path(fork.id)), "HEAD:refs/heads/theirs")
            with state.lock:
                made = pull_routes.create(
                    state, repo, title="Mine", body="", head=f"{owner}:theirs", base="main", draft=False, user=owner
                )
                numbers.append(made.issue.number)
                if owner == "gone":
                    made.head_repo = None
                    del state.world.repos[fork.id]
        return tuple(numbers)

    def unworkable() -> tuple[Unworkable, ...]:
        add_repo(state, "acme/old-fork", work, parent=repo.id)
        add_repo(state, "acme/attic", work, archived=True)
        renamed = add_repo(state, "acme/new-name", work)
        state.world.moved["acme/old-name"] = renamed.id
        return (
            Unworkable(repo="acme/nothing", fault=UnknownRepo, cure="correct the name"),
            Unworkable(repo="widgets", fault=UnknownRepo, cure="like acme/widgets"),
            Unworkable(repo="acme/old-name", fault=UnknownRepo, cure="acme/new-name"),
            Unworkable(repo="acme/old-fork", fault=NotPossible, cure="forked from"),
            Unworkable(repo="acme/attic", fault=NotPossible, cure="unarchive"),
        )

    def label(number: int, name: str) -> None:
        repo.issues[number].labels.append(name)

    def reported(sha: str, told: Report) -> None:
        report(state, repo, sha, told)

    return Others(
        person="ann",
        ci=CI,
        other_ci="circleci-checks",
        comment=comment,
        comment_line=comment_line,
        review=review,
        said=said,
        strangers=strangers,
        report=reported,
        require=require,
        label=label,
        labels=lambda number: frozenset(repo.issues[number].labels),
        close=close,
        forks=forks,
        unworkable=unworkable,
    )
