"""A gate's dependencies: set up once per base, with egress to named hosts, then sealed and only ever read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from gates.plan import GatePlan, SetupPlan, setup_script
from gates.text import plain
from gates.verdict import Inconclusive
from runner.files import remove_tree, write_whole
from runner.layout import Layout
from runner.ports import Checkouts, Clock, Containers
from runner.recipes import Recipes
from runner.sandbox import setup_name
from runner.sandbox_run import SandboxRunner
from runner.turns import Turns

_TAIL_BYTES = 4096


class Egress(Protocol):
    """Lets one set-up sandbox reach the operator's named hosts, and nothing else."""

    def open(self, owner: str, socket_dir: Path) -> None:
        """Serve `egress.sock` in that directory until shut. A second time changes nothing."""

    def shut(self, owner: str) -> None:
        """No longer serve it."""

    def refusals(self, owner: str) -> tuple[str, ...]:
        """What was refused, as `host:port`, bounded."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A finished set-up layer; path None where the plan needs none. key names its content."""

    path: Path | None
    key: str


@dataclass(frozen=True, kw_only=True)
class SetUp:
    """Makes environments, each once."""

    containers: Containers
    checkouts: Checkouts
    clock: Clock
    layout: Layout
    recipes: Recipes
    sandboxes: SandboxRunner
    egress: Egress
    _turns: Turns = field(default_factory=Turns)

    def environment(
        self, run_id: str, base_sha: str, plan: GatePlan, image: str, cancelled: Callable[[], bool]
    ) -> Environment | Inconclusive:
        """The environment that `plan` asks for at `base_sha`, made now if it is not there.

        Made from the base's files alone: nothing that an agent wrote has a say in it.
        """
        if plan.setup is None:
            return Environment(path=None, key="none")
        key = self._key(run_id, base_sha, plan, plan.setup, image)
        with self._turns.alone(key, lambda: self.sandboxes.may_wait(cancelled)):
            root = self.layout.environments / key[:16]
            if not (root / "finished").exists():
                failure = self._make(run_id, base_sha, plan, plan.setup, image, root, key, cancelled)
                if failure is not None:
                    return failure
        return Environment(path=root / "env", key=key)

    def made(self, run_id: str, base_sha: str, plan: GatePlan, image: str) -> Environment | None:
        """The environment that `plan` asks for at `base_sha`, or None where it is still to be made."""
        if plan.setup is None:
            return Environment(path=None, key="none")
        key = self._key(run_id, base_sha, plan, plan.setup, image)
        root = self.layout.environments / key[:16]
        return Environment(path=root / "env", key=key) if (root / "finished").exists() else None

    def _key(self, run_id: str, base_sha: str, plan: GatePlan, setup: SetupPlan, image: str) -> str:
        said = (setup.commands, plan.environment, image, self.recipes.setup_environment)
        digest = hashlib.sha256(repr(said).encode())
        for path in setup.matching(self.checkouts.paths(run_id, base_sha)):
            digest.update(path.encode() + b"\0" + (self.checkouts.read(run_id, base_sha, path) or b"") + b"\0")
        return digest.hexdigest()

    def _make(
        self,
        run_id: str,
        base_sha: str,
        plan: GatePlan,
        setup: SetupPlan,
        image: str,
        root: Path,
        key: str,
        cancelled: Callable[[], bool],
    ) -> Inconclusive | None:
        name = setup_name(run_id, key)
        started = root / "started"
        begun = json.loads(started.read_text(encoding="utf-8")) if started.exists() else {}
        if begun.get("sandbox") != name:
            # Nobody's, or left by a run that has not come back for it: begin anew on an empty directory.
            self.containers.remove(begun.get("sandbox", name))
            remove_tree(root)
            (root / "env").mkdir(parents=True)
            self.checkouts.export(run_id, base_sha, root / "tree")
            begun = {"sandbox": name, "at": self.clock.now()}
            write_whole(started, json.dumps(begun).encode())
        sockets = self.layout.sockets(name)
        self.egress.open(name, sockets)
        try:
            spec = self.recipes.setup(
                run_id=run_id,
                key=key,
                image=image,
                tree=root / "tree",
                environment=root / "env",
                sockets=sockets,
                script=setup_script(plan, setup),
            )
            ran = self.sandboxes.to_end(
                spec, started_at=float(begun["at"]), timeout_s=setup.timeout_s, cancelled=cancelled
            )
            if ran.timed_out or ran.overran or ran.status.exit_code != 0:
                tail = plain(self.containers.output(name, _TAIL_BYTES).decode("utf-8", "replace"), keep_newlines=False)
                refused = ", ".join(self.egress.refusals(name))
                ended = "did not finish in time" if ran.timed_out else f"exited {ran.status.exit_code}"
                why = ran.overran or ended
                hint = f" (refused egress: {refused}; see ASHIGARU_SETUP_EGRESS)" if refused else ""
                return Inconclusive(reason=f"the set-up step {why}{hint}: {tail[-600:]}")
            write_whole(root / "finished", key.encode())
            return None
        finally:
            if not self.sandboxes.stopping.is_set():
                self.egress.shut(name)
                self.containers.remove(name)
                remove_tree(root / "tree")
                if not (root / "finished").exists():
                    remove_tree(root)
