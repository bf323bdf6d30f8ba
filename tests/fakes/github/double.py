"""The test's own hands on the double: what people, their CI and the owner of a repository do. All thread-safe."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from tests.fakes.github import pull_routes, pull_rules, talk_routes
from tests.fakes.github.auth import Kind, Token
from tests.fakes.github.check_routes import suite_of, told
from tests.fakes.github.clock import DoubleClock
from tests.fakes.github.faults import Fault, How
from tests.fakes.github.hooks import delivered
from tests.fakes.github.render import Links
from tests.fakes.github.state import Asked, State
from tests.fakes.github.world import (
    App,
    CheckRun,
    Comment,
    Installation,
    Job,
    LineComment,
    Protection,
    Pull,
    Repo,
    Review,
    Status,
    WorkflowRun,
)

_STATUS_OF = {How.RATE_LIMITED: 403, How.SECONDARY_LIMIT: 403}


class GitHubDouble:
    """A GitHub. url: what PyGithub is given as base_url. Repositories go by "owner/name" everywhere."""

    def __init__(self, state: State, origin: str) -> None:
        self.state = state
        self.origin = origin
        self.url = f"{origin}/api/v3"

    @property
    def clock(self) -> DoubleClock:
        return self.state.clock

    @property
    def requests(self) -> tuple[Asked, ...]:
        """What was asked, oldest first; the newest 5,000."""
        with self.state.lock:
            return tuple(self.state.log)

    def count(self, method: str, path: str, *, landed: bool | None = None) -> int:
        """How many requests matched (path: a regular expression for the whole of it)."""
        shape = re.compile(path)
        return sum(
            one.method == method and shape.fullmatch(one.path) is not None and landed in {None, one.landed}
            for one in self.requests
        )

    def repo(self, name: str) -> Repo:
        found = self.state.world.repo(name)
        if found is None:
            raise KeyError(f"The double has no repository {name}; add it with add_repo.")
        return found

    def path(self, name: str) -> Path:
        """The bare repository on disk."""
        return self.state.git.path(self.repo(name).id)

    def add_repo(
        self,
        name: str,
        *,
        source: Path | None = None,
        default_branch: str = "main",
        private: bool = False,
        archived: bool = False,
    ) -> Repo:
        """A repository with the branches of the git repository at `source`."""
        with self.state.lock:
            world = self.state.world
            made = Repo(
                id=world.new_id(),
                full_name=name,
                default_branch=default_branch,
                at=self.clock.now(),
                private=private,
                archived=archived,
            )
            world.user(made.owner)
            self.state.git.create(made.id, source, default_branch)
            world.repos[made.id] = made
            return made

    def fork(self, name: str, owner: str) -> Repo:
        """The owner's fork of the repository, with its branches as they are now."""
        with self.state.lock:
            parent = self.repo(name)
            made = self.add_repo(f"{owner}/{parent.name}", source=self.path(name), default_branch=parent.default_branch)
            made.parent = parent.id
            made.private = parent.private
            return made

    def rename(self, name: str, new: str) -> None:
        """The old name answers 301 from now on."""
        with self.state.lock:
            one = self.repo(name)
            self.state.world.moved[name.lower()] = one.id
            one.full_name = new

    def collaborator(self, name: str, login: str, permission: str = "write") -> None:
        with self.state.lock:
            self.state.world.user(login)
            self.repo(name).collaborators[login] = permission

    def token(
        self,
        login: str,
        *,
        scopes: tuple[str, ...] = ("repo",),
        permissions: dict[str, str] | None = None,
        repos: tuple[str, ...] | None = None,
        expires: float | None = None,
    ) -> str:
        """A new token of the user: classic with `scopes`, or with `permissions` a fine-grained one."""
        with self.state.lock:
            self.state.world.user(login)
            fine = permissions is not None
            secret = f"{'github_pat_' if fine else 'ghp_'}{secrets.token_hex(18)}"
            self.state.tokens[secret] = Token(
                kind=Kind.FINE_GRAINED if fine else Kind.CLASSIC,
                login=login,
                scopes=() if fine else scopes,
                repos=None if repos is None else frozenset(self.repo(one).id for one in repos),
                permissions=permissions or {},
                expires=expires,
                label=login,
            )
            return secret

    def revoke(self, token: str) -> None:
        with self.state.lock:
            self.state.tokens.pop(token, None)

    def add_app(self, slug: str, public_key: str, *, permissions: dict[str, str]) -> App:
        """A GitHub App. public_key: PEM, of the key that its JWTs are signed with."""
        with self.state.lock:
            app = self.state.world.app(slug)
            app.public_key, app.permissions = public_key, permissions
            return app

    def install(self, slug: str, account: str, repos: tuple[str, ...] | None = None) -> Installation:
        """Install the app on the account, for these repositories or for all."""
        with self.state.lock:
            app = self.state.world.app(slug)
            made = Installation(
                id=self.state.world.new_id(),
                app_id=app.id,
                account=account,
                repos=None if repos is None else frozenset(repos),
                permissions=dict(app.permissions),
            )
            self.state.world.installations[made.id] = made
            return made

    def head(self, name: str, branch: str) -> str | None:
        with self.state.lock:
            return self.state.head(self.repo(name), branch)

    def commit(self, name: str, branch: str, files: dict[str, str], message: str = "A change", base: str = "") -> str:
        """A commit on the branch with these files (top folder only); a new branch begins at `base` or the default."""
        with self.state.lock:
            repo, git = self.repo(name), self.state.git
            old = self.state.head(repo, branch)
            parent = old or self.state.head(repo, base or repo.default_branch)
            listed = git.run(repo.id, "ls-tree", parent).splitlines() if parent else []
            rows = {line.partition("\t")[2]: line for line in listed}
            for path, text in files.items():
                blob = git.run(repo.id, "hash-object", "-w", "--stdin", text=text)
                rows[path] = f"100644 blob {blob}\t{path}"
            tree = git.run(repo.id, "mktree", text="".join(f"{row}\n" for row in rows.values()))
            made = git.commit(repo.id, tree, (parent,) if parent else (), message, ("Someone", "someone@example.com"))
            git.set_ref(repo.id, f"refs/heads/{branch}", made)
            self.state.tell("push", None, repo, ref=f"refs/heads/{branch}", before=old, after=made)
            return made

    def delete_branch(self, name: str, branch: str) -> None:
        with self.state.lock:
            self.state.git.set_ref(self.repo(name).id, f"refs/heads/{branch}", None)

    def open_pull(
        self,
        name: str,
        head: str,
        *,
        base: str = "",
        title: str = "A pull request",
        user: str = "",
        draft: bool = False,
    ) -> Pull:
        """Somebody's pull request. head: a branch, or "owner:branch" of a fork."""
        with self.state.lock:
            repo = self.repo(name)
            owner, _, branch = head.rpartition(":")
            return pull_routes.create(
                self.state,
                repo,
                title=title,
                body="",
                head=f"{owner or repo.owner}:{branch}",
                base=base or repo.default_branch,
                draft=draft,
                user=user or owner or repo.owner,
            )

    def pull(self, name: str, number: int) -> Pull:
        """The pull request as it is now."""
        with self.state.lock:
            repo = self.repo(name)
            pull_rules.follow(self.state, self.state.world, repo, repo.pulls[number])
            return repo.pulls[number]

    def close(self, name: str, number: int) -> None:
        with self.state.lock:
            pull_rules.close(self.state, self.repo(name), self.pull(name, number))

    def merge(self, name: str, number: int, user: str, *, method: str = "squash") -> str:
        """A person merges, past whatever protects the branch."""
        with self.state.lock:
            pull = self.pull(name, number)
            message = f"{pull.issue.title} (#{number})\n"
            return pull_routes.merge(self.state, self.repo(name), pull, message=message, method=method, user=user)

    def label(self, name: str, number: int, label: str) -> None:
        with self.state.lock:
            repo = self.repo(name)
            repo.labels.setdefault(label, self.state.world.new_id())
            if label not in repo.issues[number].labels:
                repo.issues[number].labels.append(label)

    def comment(self, name: str, number: int, user: str, body: str) -> Comment:
        with self.state.lock:
            return talk_routes.add_comment(self.state, self.repo(name), number, user, body)

    def review(self, name: str, number: int, user: str, state: str = "APPROVED", body: str = "") -> Review:
        """state: APPROVED, CHANGES_REQUESTED or COMMENTED; of the head as it is now."""
        with self.state.lock:
            head = self.pull(name, number).head_sha
            return talk_routes.add_review(self.state, self.repo(name), number, user, state, body, head)

    def line_comment(self, name: str, number: int, user: str, body: str, *, path: str, line: int) -> LineComment:
        with self.state.lock:
            head = self.pull(name, number).head_sha
            return talk_routes.add_line(self.state, self.repo(name), number, user, body, head, path=path, line=line)

    def reply(self, name: str, to: int, user: str, body: str) -> LineComment:
        with self.state.lock:
            return talk_routes.reply(self.state, self.repo(name), to, user, body)

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

    def allow(self, token: str, *, remaining: int) -> None:
        """What is left of the token's hourly allowance."""
        with self.state.lock:
            one = self.state.allowance(self.state.tokens[token])
            one.used = one.limit - remaining

    def fail(
        self,
        method: str,
        path: str,
        how: How,
        *,
        times: int = 1,
        status: int | None = None,
        retry_after: int | None = None,
    ) -> Fault:
        """The next `times` requests that match fail so. path: a regular expression, without the API's prefix.

        STALE reads see the world as it is at this call. A held answer goes when `released` of the Fault is set.
        """
        fault = Fault(
            method=method,
            path=re.compile(path),
            times=times,
            how=how,
            status=status or _STATUS_OF.get(how, 502),
            retry_after=retry_after,
            moment=self.state.moment() if how is How.STALE else None,
        )
        self.state.faults.add(fault)
        return fault

    def deliver(self, url: str, secret: str) -> tuple[tuple[str, int], ...]:
        """Post every waiting event to the webhook, oldest first; each event's name and how it was answered."""
        return delivered(self.state, Links(self.origin, "/api/v3"), url, secret)

    def clear_failures(self) -> None:
        self.state.faults.clear()
