"""Checks on GitHub: check runs and commit statuses read as one kind, our own written as statuses."""

from __future__ import annotations

from typing import Any, Final

from gates.text import clean
from runner.adapters.github_faults import Declined, Missing
from runner.adapters.github_house import GithubHouse, Repository
from runner.adapters.github_pulls import tip
from runner.errors import ForgeDown
from runner.model import Check, CheckState, RequiredCheck

Json = dict[str, Any]
ACTIONS: Final = "github-actions"
_ACTIONS_ID: Final = 15368
_NO_SUCH_COMMIT: Final = 422
_MAX_DESCRIPTION: Final = 140
_MAX_SUMMARY: Final = 1000

CONCLUSIONS: Final = {
    "success": CheckState.PASSED,
    "neutral": CheckState.PASSED,
    "skipped": CheckState.PASSED,
    "failure": CheckState.FAILED,
    "timed_out": CheckState.FAILED,
    "cancelled": CheckState.STALLED,
    "action_required": CheckState.STALLED,
    "stale": CheckState.STALLED,
    "startup_failure": CheckState.STALLED,
}
"""What an ended check run says; one that GitHub adds later is a word we do not know, so a person has to look."""

STATUSES: Final = {
    "success": CheckState.PASSED,
    "failure": CheckState.FAILED,
    "error": CheckState.STALLED,
    "pending": CheckState.PENDING,
}
_STATUS_OF: Final = {state: word for word, state in STATUSES.items()}


def all_of(house: GithubHouse, repo: Repository, sha: str) -> tuple[Check, ...]:
    """The latest of every check: by source, name and, for Actions, workflow, so that one workflow's job cannot hide
    another's of the same name.
    """
    runs = _listed(house, repo, sha, "check-runs", "check_runs", filter="latest")
    statuses = _listed(house, repo, sha, "statuses")
    if runs is None or statuses is None:
        if not _there(house, repo, sha):
            # A commit that GitHub does not have (yet) has no checks.
            return ()
        # "No checks" would read as nothing to wait for, so half an answer is not taken for one.
        cure = "let the daemon's credential read checks and statuses, or use a server that has both."
        raise ForgeDown(f"GitHub knows the commit but does not show its checks; {cure}")
    paths = _workflows(house, repo, sha) if any(_slug(run) == ACTIONS for run in runs) else {}
    latest: dict[tuple[str, str, str], tuple[int, Check]] = {}
    told = [(int(run["id"]), _of_run(run, paths)) for run in runs]
    told += [(int(status["id"]), _of_status(status, sha)) for status in statuses]
    for number, check in told:
        key = (check.source, check.name, check.workflow)
        if key not in latest or latest[key][0] < number:
            latest[key] = (number, check)
    return tuple(sorted((check for _, check in latest.values()), key=lambda one: (one.name, one.source, one.workflow)))


def _listed(
    house: GithubHouse, repo: Repository, sha: str, kind: str, key: str | None = None, **query: str
) -> list[Json] | None:
    """One kind of what is told of a commit; None where GitHub knows no such commit, or no such kind."""
    try:
        return house.pages(repo, f"/commits/{sha}/{kind}", key, **query)
    except Missing:
        return None
    except Declined as exc:
        if exc.status != _NO_SUCH_COMMIT:
            raise
        return None


def _there(house: GithubHouse, repo: Repository, sha: str) -> bool:
    try:
        return house.find(repo, f"/git/commits/{sha}") is not None
    except Declined as exc:
        if exc.status != _NO_SUCH_COMMIT:
            raise
        return False


def _workflows(house: GithubHouse, repo: Repository, sha: str) -> dict[int, str]:
    """The workflow file of each check suite of Actions."""
    runs = house.pages(repo, "/actions/runs", "workflow_runs", head_sha=sha)
    return {int(run["check_suite_id"]): str(run["path"]).partition("@")[0] for run in runs}


def _slug(run: Json) -> str:
    return str((run.get("app") or {}).get("slug") or "")


def _of_run(run: Json, paths: dict[int, str]) -> Check:
    output = run.get("output") or {}
    told = output.get("title") or output.get("summary") or ""
    return Check(
        name=str(run["name"]),
        state=state_of(str(run["status"]), run.get("conclusion")),
        summary=str(told)[:_MAX_SUMMARY],
        source=_slug(run),
        workflow=paths.get(int((run.get("check_suite") or {}).get("id") or 0), ""),
        url=str(run.get("html_url") or ""),
        ref=f"run:{int(run['id'])}",
    )


def state_of(status: str, conclusion: str | None) -> CheckState:
    """A check run's state."""
    return CONCLUSIONS.get(str(conclusion), CheckState.STALLED) if status == "completed" else CheckState.PENDING


def _of_status(status: Json, sha: str) -> Check:
    login = str((status.get("creator") or {}).get("login") or "")
    return Check(
        name=str(status["context"]),
        state=STATUSES.get(str(status["state"]), CheckState.STALLED),
        summary=str(status.get("description") or ""),
        source=f"status:{login}" if login else "",
        url=str(status.get("target_url") or ""),
        ref=f"status:{sha}:{int(status['id'])}",
    )


def told(house: GithubHouse, repo: Repository, sha: str, name: str, state: CheckState, summary: str) -> None:
    """See `Forge.set_check`. A commit status: only an App may write check runs."""
    line = clean(summary, _MAX_DESCRIPTION) if summary else ""
    mine = f"status:{house.auth.login(repo.asked)}"
    body = {"state": _STATUS_OF[state], "context": name, "description": line}

    def look() -> bool | None:
        statuses = [_of_status(one, sha) for one in house.pages(repo, f"/commits/{sha}/statuses")]
        ours = next((one for one in statuses if (one.name, one.source) == (name, mine)), None)
        return True if ours is not None and (ours.state, ours.summary) == (state, line) else None

    def tell() -> bool:
        house.send(repo, "POST", f"/statuses/{sha}", body)
        return True

    house.client.once(look, tell)


def required(house: GithubHouse, repo: Repository, branch: str) -> tuple[RequiredCheck, ...]:
    """See `Forge.required_checks`: classic protection as the branch itself tells it, and rulesets.

    The protection's own address wants the right to administer, which the daemon has no other use for.
    """
    told = house.find(repo, f"/branches/{branch}")
    if told is None:
        return ()
    classic = (told.get("protection") or {}).get("required_status_checks") or {}
    wanted: set[tuple[str, int | None]] = {
        (str(one["context"]), _app(one.get("app_id"))) for one in classic.get("checks") or ()
    }
    named = {name for name, _ in wanted}
    wanted |= {(str(name), None) for name in classic.get("contexts") or () if str(name) not in named}
    try:
        rules = house.pages(repo, f"/rules/branches/{branch}")
    except Missing:
        # A server that knows no rulesets.
        rules = []
    for rule in rules:
        if rule["type"] == "required_status_checks":
            asked = rule["parameters"]["required_status_checks"]
            wanted |= {(str(one["context"]), _app(one.get("integration_id"))) for one in asked}
    slugs = _slugs(house, repo, branch) if any(app not in {None, _ACTIONS_ID} for _, app in wanted) else {}
    slugs[_ACTIONS_ID] = ACTIONS
    checks = {RequiredCheck(name=name, source=None if app is None else slugs.get(app)) for name, app in wanted}
    return tuple(sorted(checks, key=lambda one: (one.name, one.source or "")))


def _app(value: Any) -> int | None:
    """The app that has to report it; GitHub writes -1 for any."""
    return value if isinstance(value, int) and value > 0 else None


def _slugs(house: GithubHouse, repo: Repository, branch: str) -> dict[int, str]:
    """Apps by id, as far as they have ever reported on the branch's tip; GitHub tells nobody an app by its id alone."""
    sha = tip(house, repo, branch)
    suites = [] if sha is None else house.pages(repo, f"/commits/{sha}/check-suites", "check_suites")
    return {int(one["app"]["id"]): str(one["app"]["slug"]) for one in suites if one.get("app")}
