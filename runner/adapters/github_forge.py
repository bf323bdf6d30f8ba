"""`runner.ports.Forge` on GitHub, or on any server that speaks its REST API."""

from __future__ import annotations

from runner.adapters import github_checks, github_logs, github_merging, github_pulls, github_remarks
from runner.adapters.github_auth import GithubAuth, InstallationAuth, TokenAuth
from runner.adapters.github_client import GithubClient
from runner.adapters.github_house import GithubHouse, git_root
from runner.errors import NotPossible, UnknownRepo
from runner.model import (
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
from runner.ports import Clock
from runner.remarks import Remark

USERNAME = "x-access-token"


class GithubForge:
    """GitHub, under one identity. Thread-safe; each call ends within the client's deadline and one answer's time."""

    def __init__(self, client: GithubClient, auth: GithubAuth, clock: Clock) -> None:
        """Asks nothing yet."""
        self._client = client
        self._auth = auth
        self._house = GithubHouse(client, auth)
        self._askers = github_remarks.Askers(self._house, clock)

    def check(self) -> None:
        """Nothing, where GitHub answers and accepts the credential. Raises ForgeDown."""
        with self._client.bounded():
            self._auth.check()

    def remote(self, repo: str) -> Remote:
        """GitHub's git; the host is the configured one, whatever an answer says."""
        with self._house.deed(repo) as known:
            secret = self._auth.credential(repo).secret
        return Remote(url=f"{git_root(self._client.url)}/{known.name}.git", username=USERNAME, password=secret)

    def default_branch(self, repo: str) -> str:
        """As the repository is set."""
        with self._house.deed(repo) as known:
            if known.name.lower() != repo.lower():
                raise UnknownRepo(f"GitHub has no {repo} any more: it is {known.name} now; name it so.")
            if known.fork:
                raise NotPossible(f"{repo} is a fork; dispatch the ticket on the repository that it was forked from.")
            if known.archived:
                raise NotPossible(f"{repo} is archived, so nothing can be pushed; unarchive it on GitHub first.")
            return known.default_branch

    def tip(self, repo: str, branch: str) -> str | None:
        """One conditional request, free while nothing changes."""
        with self._house.deed(repo) as known:
            return github_pulls.tip(self._house, known, branch)

    def required_checks(self, repo: str, branch: str) -> tuple[RequiredCheck, ...]:
        """Classic protection and rulesets together."""
        with self._house.deed(repo) as known:
            return github_checks.required(self._house, known, branch)

    def open_pull(self, draft: PullDraft) -> Pull:
        """Where a repository has no drafts, a pull request that is none."""
        with self._house.deed(draft.repo) as known:
            return github_pulls.opened(self._house, known, draft)

    def ready(self, repo: str, number: int, *, drop_labels: tuple[str, ...] = ()) -> None:
        """One that is closed or merged by now only loses the labels."""
        with self._house.deed(repo) as known:
            github_pulls.ready(self._house, known, number, drop_labels)

    def pull(self, repo: str, number: int) -> Pull | None:
        """The pull request, with the tip of its base branch as it is now while it is open."""
        with self._house.deed(repo) as known:
            told = github_pulls.found(self._house, known, number)
            return None if told is None else github_pulls.value(self._house, known, told)

    def pull_of(self, repo: str, head_branch: str) -> Pull | None:
        """The first of those that GitHub lists, newest first."""
        with self._house.deed(repo) as known:
            told = github_pulls.newest_of(self._house, known, head_branch, state="all")
            return None if told is None else github_pulls.value(self._house, known, told)

    def checks(self, repo: str, sha: str) -> tuple[Check, ...]:
        """Check runs and commit statuses; of Actions' jobs the latest for each workflow."""
        with self._house.deed(repo) as known:
            return github_checks.all_of(self._house, known, sha)

    def check_log(self, repo: str, check: Check, max_bytes: int) -> str:
        """The job's log, or the check's own words and annotations, or the status's description."""
        with self._house.deed(repo) as known:
            return github_logs.log(self._house, known, check, max_bytes)

    def set_check(self, repo: str, sha: str, name: str, state: CheckState, summary: str) -> None:
        """A commit status; a summary is kept up to 140 characters on one line."""
        with self._house.deed(repo) as known:
            github_checks.told(self._house, known, sha, name, state, summary)

    def remarks(self, repo: str, number: int) -> tuple[Remark, ...]:
        """Comments, reviews and review comments."""
        with self._house.deed(repo) as known:
            return github_remarks.all_of(self._house, self._askers, known, number)

    def say(self, repo: str, number: int, key: str, body: str, *, remark: str | None = None) -> None:
        """With the key as a hidden last line; an answer to what is not there is said in the conversation."""
        with self._house.deed(repo) as known:
            github_remarks.say(self._house, known, number, key, body, remark)

    def merge(self, reviewed: ReviewedHead, title: str, body: str) -> Merged | MergeRefused:
        """The base cannot be pinned: it is compared before, and the merged files afterwards."""
        with self._house.deed(reviewed.repo) as known:
            return github_merging.merge(self._house, known, reviewed, title, body)


def github_forge(
    url: str,
    clock: Clock,
    *,
    token: str | None = None,
    app_id: str | None = None,
    app_key: str | None = None,
    timeout_s: float = 20.0,
    deadline_s: float = 90.0,
) -> GithubForge:
    """The forge at the REST root `url`, by a token or else as a GitHub App. Asks nothing yet."""
    client = GithubClient(url, clock, timeout_s=timeout_s, deadline_s=deadline_s)
    auth: GithubAuth
    if token is not None:
        auth = TokenAuth(client, token)
    else:
        auth = InstallationAuth(client, clock, app_id=app_id or "", key=app_key or "")
    return GithubForge(client, auth, clock)
