"""A gate's dependencies: set up once per base, with egress to named hosts, then sealed and only ever read.

A change that edits what its dependencies are keyed by gets a layer of its own, which nothing else ever uses.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from gates.plan import GATE_FILE, GatePlan, SetupPlan, head_setup, setup_script
from gates.text import clip, plain
from gates.verdict import Failed, Inconclusive
from runner import layers
from runner.egress_rules import Egress as EgressRules
from runner.errors import SandboxFault
from runner.files import remove_tree, write_whole
from runner.fleet import Fleet
from runner.layout import Layout
from runner.moments import Moment, moment_from_json, moment_to_json
from runner.ports import Checkouts, Clock, Containers
from runner.recipes import Recipes
from runner.records import NoticeKind, Records
from runner.sandbox import setup_name
from runner.sandbox_run import Ran, SandboxRunner
from runner.turns import Turns

_TAIL_BYTES: Final = 4096
_REPORT_BYTES: Final = 4096
_MAX_TOLD: Final = 10


class Egress(Protocol):
    """Lets one set-up sandbox reach the operator's named hosts, and nothing else."""

    def open(self, owner: str, socket_dir: Path, rules: EgressRules) -> None:
        """Serve `egress.sock` in that directory, by those rules, until shut. A second time changes nothing.

        Raises SandboxFault.
        """

    def shut(self, owner: str) -> None:
        """No longer serve it."""

    def refusals(self, owner: str) -> tuple[str, ...]:
        """What was refused, as `host:port`, bounded."""

    def unreached(self, owner: str) -> tuple[str, ...]:
        """The named `host:port` that did not answer, bounded."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A finished set-up layer; path None where the plan needs none. key names its content.

    own: the directory and the sandbox of a layer that is this judgement's alone, to go with it.
    """

    path: Path | None
    key: str
    own: tuple[Path, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Whose set-up is asked for. change: the commit that is judged, and a name for this judgement of it.

    change None: the base's own.
    """

    run_id: str
    base_sha: str
    plan: GatePlan
    image: str
    change: tuple[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class _Layer:
    """One layer to be made: where, under which key, of which commit's files, by which steps."""

    root: Path
    key: str
    commit: str
    setup: SetupPlan
    own: bool


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
    records: Records
    fleet: Fleet
    _turns: Turns = field(default_factory=Turns)

    def environment(self, wanted: Wanted, cancelled: Callable[[], bool]) -> Environment | Inconclusive | Failed:
        """The environment to judge in, made now if it is not there.

        The base's layer is made from the base's files alone: nothing that an agent wrote has a say in it. A change
        that edits a manifest or a lock file has a layer of its own, made by the same rules. Failed: that one could
        not be made, and the network is not to blame. Raises Cancelled, Interrupted, EngineDown, SandboxFault.
        """
        layer = self._layer(wanted)
        if layer is None:
            return Environment(path=None, key="none")
        with self._turns.alone(layer.key, lambda: self.sandboxes.may_wait(cancelled)):
            if not layers.in_use(self.layout, layer.root, wanted.run_id):
                failure = self._make(wanted, layer, cancelled)
                if failure is not None:
                    return failure
                layers.in_use(self.layout, layer.root, wanted.run_id)
        own = (layer.root, setup_name(wanted.run_id, layer.key)) if layer.own else None
        return Environment(path=layer.root / "env", key=layer.key, own=own)

    def made(self, run_id: str, base_sha: str, plan: GatePlan, image: str) -> Environment | None:
        """The environment that `plan` asks for at `base_sha`, or None where it is still to be made."""
        layer = self._shared(Wanted(run_id=run_id, base_sha=base_sha, plan=plan, image=image))
        if layer is None:
            return Environment(path=None, key="none")
        whole = layers.in_use(self.layout, layer.root, run_id)
        return Environment(path=layer.root / "env", key=layer.key) if whole else None

    def _layer(self, wanted: Wanted) -> _Layer | None:
        """The base's layer, unless the change is keyed otherwise than its base."""
        if wanted.change is None:
            return self._shared(wanted)
        commit, name = wanted.change
        run_id = wanted.run_id
        gate_file = self.checkouts.read(run_id, wanted.base_sha, GATE_FILE)
        paths = self.checkouts.paths(run_id, commit)
        setup = head_setup(wanted.plan, gate_file, paths, lambda path: self.checkouts.read(run_id, commit, path))
        base = wanted.plan.setup
        if setup is None:
            return None
        if base is not None and self._said(wanted, setup, commit) == self._at_base(wanted, base):
            return self._shared(wanted)
        # Its content does not name it: another change with the same manifests may have made them mean something else.
        key = hashlib.sha256(f"own\0{run_id}\0{name}\0{commit}".encode()).hexdigest()
        root = self.layout.run(run_id) / f"layer-{key[:16]}"
        return _Layer(root=root, key=key, commit=commit, setup=setup, own=True)

    def _shared(self, wanted: Wanted) -> _Layer | None:
        setup = wanted.plan.setup
        if setup is None:
            return None
        key = self._at_base(wanted, setup)
        root = self.layout.environments / key[:16]
        return _Layer(root=root, key=key, commit=wanted.base_sha, setup=setup, own=False)

    def _at_base(self, wanted: Wanted, setup: SetupPlan) -> str:
        return self._said(wanted, setup, wanted.base_sha)

    def _said(self, wanted: Wanted, setup: SetupPlan, commit: str) -> str:
        """What a layer is keyed by: the steps, the manifests at the commit, and whose they are.

        The repository is among it: one's files that are no manifests must have no say in another's layer.
        """
        rules = self.fleet.of(self._repo(wanted.run_id)).egress
        said = (
            self._repo(wanted.run_id).lower(),
            *(setup.commands, wanted.plan.environment, wanted.image, self.recipes.setup_environment),
            *(sorted(rules.allowed), sorted(rules.private_hosts)),
        )
        digest = hashlib.sha256(repr(said).encode())
        for path in setup.matching(self.checkouts.paths(wanted.run_id, commit)):
            content = self.checkouts.read(wanted.run_id, commit, path) or b""
            digest.update(f"{len(path.encode())} {len(content)} {path}".encode() + content)
        return digest.hexdigest()

    def _repo(self, run_id: str) -> str:
        run = self.records.run(run_id)
        return "" if run is None else run.repo

    def _make(self, wanted: Wanted, layer: _Layer, cancelled: Callable[[], bool]) -> Inconclusive | Failed | None:
        name = setup_name(wanted.run_id, layer.key)
        root = layer.root
        since = self._begin(wanted, layer, name)
        sockets = self.layout.sockets(name)
        try:
            try:
                self.egress.open(name, sockets, self.fleet.of(self._repo(wanted.run_id)).egress)
            except SandboxFault as exc:
                return Inconclusive(reason=f"the set-up step was not begun, for it would have no egress proxy: {exc}")
            spec = self.recipes.setup(
                run_id=wanted.run_id,
                key=layer.key,
                image=wanted.image,
                tree=root / "tree",
                environment=root / "env",
                sockets=sockets,
                script=setup_script(wanted.plan, layer.setup),
            )
            ran = self.sandboxes.to_end(spec, since=since, timeout_s=layer.setup.timeout_s, cancelled=cancelled)
            self._tell(wanted.run_id, name)
            if ran.timed_out or ran.overran or ran.status.exit_code != 0:
                return self._failure(name, layer, ran)
            write_whole(root / "finished", layer.key.encode())
            return None
        finally:
            if not self.sandboxes.stopping.is_set():
                self.egress.shut(name)
                self.containers.remove(name)
                remove_tree(root / "tree")
                if not (root / "finished").exists():
                    remove_tree(root)

    def _begin(self, wanted: Wanted, layer: _Layer, name: str) -> Moment:
        """When the set-up was begun: now, on an empty directory, unless it is under way already."""
        root = layer.root
        started = root / "started"
        begun = json.loads(started.read_text(encoding="utf-8")) if started.exists() else {}
        if begun.get("sandbox") != name:
            # Nobody's, or left by a run that has not come back for it.
            self.containers.remove(begun.get("sandbox", name))
            remove_tree(root)
            (root / "env").mkdir(parents=True)
            self.checkouts.export(wanted.run_id, layer.commit, root / "tree")
            begun = {"sandbox": name} | moment_to_json(self.sandboxes.moment())
            write_whole(started, json.dumps(begun).encode())
        # A daemon that knew the wall clock only called it "at".
        return moment_from_json(begun) or Moment(utc=float(begun["at"]))

    def _tell(self, run_id: str, name: str) -> None:
        """What was refused is in the run's notices, whether the set-up did without it or not."""
        refused = self.egress.refusals(name)
        if refused:
            more = f" and {len(refused) - _MAX_TOLD} more" if len(refused) > _MAX_TOLD else ""
            text = f"A set-up was refused egress to {', '.join(refused[:_MAX_TOLD])}{more}."
            self.records.notify(run_id, f"egress:{name}", NoticeKind.EGRESS, text, self.clock.now())

    def _failure(self, name: str, layer: _Layer, ran: Ran) -> Inconclusive | Failed:
        """A step that could not get what it wanted is nobody's fault; else an edited manifest is the change's."""
        said = self.containers.output(name, _TAIL_BYTES).decode("utf-8", "replace")
        ended = "did not finish in time" if ran.timed_out else f"exited {ran.status.exit_code}"
        why = ran.overran or ended
        refused = ", ".join(self.egress.refusals(name)[:_MAX_TOLD])
        unreached = ", ".join(self.egress.unreached(name)[:_MAX_TOLD])
        hint = f" (refused egress: {refused}; see docs/fleet.md)" if refused else ""
        hint += f" (not to be reached: {unreached})" if unreached else ""
        if layer.own and not hint and not ran.timed_out and not ran.status.oom:
            summary = f"the set-up of the change's own dependencies {why}"
            return Failed(summary=summary, report=clip(f"{summary}:\n{plain(said, keep_newlines=True)}", _REPORT_BYTES))
        return Inconclusive(reason=f"the set-up step {why}{hint}: {plain(said, keep_newlines=False)[-600:]}")
