"""The test's hands as everybody's CI, and as who says what CI must have said."""

from __future__ import annotations

from tests.fakes.github.check_routes import suite_of, told
from tests.fakes.github.owner import Owner
from tests.fakes.github.world import CheckRun, Job, Protection, Status, WorkflowRun


class Machines(Owner):
    """Checks, statuses, and what protects a branch."""

    def check_run(
        self,
        name: str,
        sha: str,
        check: str,
        *,
        status: str = "completed",
        conclusion: str | None = "success",
        app: str = "github-actions",
        log: str | None = None,
        summary: str | None = None,
    ) -> CheckRun:
        """A new run of the check. One of GitHub Actions is a job of a workflow run, with a log if one is given."""
        with self.state.lock:
            repo, world, now = self.repo(name), self.state.world, self.clock.now()
            suite = suite_of(self.state, repo, sha, app)
            done = status == "completed"
            made = CheckRun(
                id=world.new_id(),
                suite=suite.id,
                sha=sha,
                name=check,
                app=app,
                status=status,
                conclusion=conclusion if done else None,
                at=now,
                completed_at=now if done else None,
                title=check if summary else None,
                summary=summary,
            )
            repo.checks[made.id] = made
            if app == "github-actions":
                run = next((one for one in repo.runs.values() if one.suite == suite.id), None)
                if run is None:
                    number = world.new_id()
                    run = WorkflowRun(
                        id=number, suite=suite.id, sha=sha, branch=suite.branch, name="CI", event="push", at=now
                    )
                    repo.runs[number] = run
                repo.jobs[made.id] = Job(id=made.id, run=run.id, log=log)
            told(self.state, repo, made)
            return made

    def finish_check(self, name: str, check: int, conclusion: str, *, log: str | None = None) -> None:
        """A check that was under way is through."""
        with self.state.lock:
            repo = self.repo(name)
            one = repo.checks[check]
            one.status, one.conclusion, one.completed_at = "completed", conclusion, self.clock.now()
            if check in repo.jobs and log is not None:
                repo.jobs[check].log = log
            told(self.state, repo, one)

    def status(self, name: str, sha: str, context: str, state: str, *, creator: str, description: str = "") -> Status:
        """A commit status of somebody's."""
        with self.state.lock:
            self.state.world.user(creator)
            made = Status(
                id=self.state.world.new_id(),
                sha=sha,
                context=context,
                state=state,
                description=description,
                target_url=None,
                creator=creator,
                at=self.clock.now(),
            )
            self.repo(name).statuses.append(made)
            self.state.tell("status", None, self.repo(name), sha=sha, context=context, state=state)
            return made

    def protect(
        self,
        name: str,
        branch: str,
        *,
        checks: tuple[str | tuple[str, str], ...] | None = None,
        reviews: int | None = None,
        strict: bool = False,
        ruleset: bool = False,
    ) -> None:
        """Protect the branch, classic or by a new ruleset. checks: names, or (name, slug of the app it comes from)."""
        with self.state.lock:
            world = self.state.world
            pairs = (
                None
                if checks is None
                else tuple((one, None) if isinstance(one, str) else (one[0], world.app(one[1]).id) for one in checks)
            )
            rule = Protection(checks=pairs, strict=strict, reviews=reviews, patterns=(branch,))
            if ruleset:
                rule.ruleset = world.new_id()
                self.repo(name).rulesets.append(rule)
            else:
                self.repo(name).protections[branch] = rule
