"""The test's own hands on the double: what people, their CI and the owner of a repository do. All thread-safe."""

from __future__ import annotations

import re
from typing import Any

from tests.fakes.github import pull_routes, pull_rules, said
from tests.fakes.github.faults import Fault, How
from tests.fakes.github.hooks import delivered
from tests.fakes.github.machines import Machines
from tests.fakes.github.render import Links
from tests.fakes.github.state import Asked
from tests.fakes.github.world import (
    Comment,
    LineComment,
    Pull,
    Review,
)

_STATUS_OF = {How.RATE_LIMITED: 403, How.SECONDARY_LIMIT: 403}


class GitHubDouble(Machines):
    """A GitHub. url: what PyGithub is given as base_url. Repositories go by "owner/name" everywhere."""

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
            return said.add_comment(self.state, self.repo(name), number, user, body)

    def review(self, name: str, number: int, user: str, state: str = "APPROVED", body: str = "") -> Review:
        """state: APPROVED, CHANGES_REQUESTED or COMMENTED; of the head as it is now."""
        with self.state.lock:
            head = self.pull(name, number).head_sha
            return said.add_review(self.state, self.repo(name), number, user, state, body, head)

    def line_comment(self, name: str, number: int, user: str, body: str, *, path: str, line: int) -> LineComment:
        with self.state.lock:
            head = self.pull(name, number).head_sha
            return said.add_line(self.state, self.repo(name), number, user, body, head, path=path, line=line)

    def reply(self, name: str, to: int, user: str, body: str) -> LineComment:
        with self.state.lock:
            return said.reply(self.state, self.repo(name), to, user, body)

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
        moment: Any = None,
    ) -> Fault:
        """The next `times` requests that match fail so. path: a regular expression, without the API's prefix.

        STALE reads see the world as it was at `moment` (an earlier Fault's), or as it is at this call. A held answer
        goes when `released` of the Fault is set.
        """
        fault = Fault(
            method=method,
            path=re.compile(path),
            times=times,
            how=how,
            status=status or _STATUS_OF.get(how, 502),
            retry_after=retry_after,
            moment=moment or (self.state.moment() if how is How.STALE else None),
        )
        self.state.faults.add(fault)
        return fault

    def deliver(self, url: str, secret: str) -> tuple[tuple[str, int], ...]:
        """Post every waiting event to the webhook, oldest first; each event's name and how it was answered."""
        return delivered(self.state, Links(self.origin, "/api/v3"), url, secret)

    def clear_failures(self) -> None:
        self.state.faults.clear()
