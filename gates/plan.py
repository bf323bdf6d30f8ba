"""Which gates judge a tree: the file at the base commit, else what the repository's files show. Pure."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Final

from gates.ecosystem import OUT, TIMEOUT_S, WORKSPACE, Found, Gate, Read
from gates.go_project import GO_MANIFESTS, go_project
from gates.hints import hints
from gates.java_project import GRADLE_MANIFESTS, MAVEN_MANIFESTS, java_project
from gates.node_project import LINKS, NODE_MANIFESTS, node_project
from gates.path_patterns import fits
from gates.policy import Policy
from gates.python_project import PYTHON_MANIFESTS, VENV, python_project
from gates.reviewers import Reviewer
from gates.rust_project import RUST_MANIFESTS, rust_project
from gates.services import Service, waiting_script
from gates.spec import GATE_FILE, GateFile, parse_gate_file
from gates.spec_terms import gate_of, policy_of, reviewer_of, service_of
from gates.task_project import just_project, make_project

__all__ = [
    "GATE_FILE",
    "OUT",
    "VENV",
    "WORKSPACE",
    "CiOnly",
    "Gate",
    "GatePlan",
    "NoGate",
    "Read",
    "SetupPlan",
    "head_setup",
    "plan",
    "plan_of",
    "setup_script",
    "shell_script",
]

_RULES: Final = 3
"""Bumped by hand when the judge's rules change, so that verdicts remembered under the old ones are asked for anew."""

_MANIFESTS: Final = (
    *PYTHON_MANIFESTS,
    *NODE_MANIFESTS,
    *GO_MANIFESTS,
    *RUST_MANIFESTS,
    *MAVEN_MANIFESTS,
    *GRADLE_MANIFESTS,
)
"""What keys the set-up of a gate file that does not say."""

_Look = Callable[[Sequence[str], Read], Found | None]
_ECOSYSTEMS: Final[tuple[tuple[str, _Look], ...]] = (
    ("python", python_project),
    ("node", node_project),
    ("go", go_project),
    ("rust", rust_project),
    ("java", java_project),
)
"""Those whose test runners can be asked for a report. Every one that has tests is a gate, in this order."""
_TASKS: Final[tuple[_Look, ...]] = (make_project, just_project)
"""Where none of those has tests: the first of these that has a target for them is the one gate."""


@dataclass(frozen=True, kw_only=True)
class SetupPlan:
    """What is run once on the base's files. manifests: path patterns whose files key its result."""

    commands: tuple[str, ...]
    manifests: tuple[str, ...]
    timeout_s: int

    def matching(self, paths: Sequence[str]) -> tuple[str, ...]:
        """Those of `paths` that key the result; `*` stays within a directory, `requirements.txt` is the one on top."""
        return tuple(sorted(path for path in paths if any(fits(path, one) for one in self.manifests)))


@dataclass(frozen=True, kw_only=True)
class GatePlan:
    """How a tree is judged. image None: the operator's default. Gates run in order; the first red one ends it.

    declared: a gate file said so, the repository's or its operator's; otherwise it is what the files show.
    """

    image: str | None
    setup: SetupPlan | None
    gates: tuple[Gate, ...]
    environment: tuple[tuple[str, str], ...]
    services: tuple[Service, ...] = ()
    policy: Policy = field(default_factory=Policy)
    reviewers: tuple[Reviewer, ...] = ()
    declared: bool = False

    def digest(self) -> str:
        """Sixty-four hex digits that change with anything in the plan, and with the rules it is judged by."""
        told = {"rules": _RULES, "plan": asdict(self)}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode("utf-8")).hexdigest()


@dataclass(frozen=True, kw_only=True)
class NoGate:
    """Nothing says how to judge this repository; reason is a sentence with the cure."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class CiOnly:
    """The repository says that no gate can run sealed: only the forge's CI judges it."""


def plan(gate_file: bytes | None, paths: Sequence[str], read: Read) -> GatePlan | CiOnly | NoGate:
    """The plan of a commit with these paths. Raises BadGateSpec where its gate file is wrong."""
    if gate_file is not None:
        return plan_of(parse_gate_file(gate_file))
    return _recognised(paths, read)


def head_setup(base: GatePlan, gate_file: bytes | None, paths: Sequence[str], read: Read) -> SetupPlan | None:
    """What is set up for a change to the base of that plan; paths and read are the change's, gate_file the base's.

    Where the base has a gate file, or the operator one for it, that says how, whatever the change says. Else the
    change's own manifests do, as the base's did: a dependency that it adds is among them. Its gates stay the base's.
    """
    if gate_file is not None or base.declared:
        return base.setup
    found = _recognised(paths, read)
    return found.setup if isinstance(found, GatePlan) else base.setup


def shell_script(plan: GatePlan, gate: Gate) -> str:
    """What `sh -c` runs for one gate; its exit status is the gate's."""
    waiting = waiting_script(plan.services, OUT)
    own = [
        *_exports(gate.environment),
        *([f"cd {shlex.quote(f'{WORKSPACE}/{gate.directory}')} || exit 126"] if gate.directory else []),
    ]
    return "\n".join((*_preamble(plan), *waiting, LINKS, *own, f"exec sh -c {shlex.quote(gate.run)}"))


def setup_script(plan: GatePlan, setup: SetupPlan) -> str:
    """What `sh -c` runs for the set-up: every command in a shell of its own, stopping at the first that fails."""
    return "\n".join(("set -e", *_preamble(plan), *(f"sh -c {shlex.quote(one)}" for one in setup.commands)))


def _preamble(plan: GatePlan) -> tuple[str, ...]:
    found = f'if [ -d {VENV}/bin ]; then export PATH="{VENV}/bin:$PATH"; fi'
    return (*_exports(plan.environment), found, f"cd {WORKSPACE} || exit 126")


def _exports(environment: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(f"export {name}={shlex.quote(value)}" for name, value in environment)


def plan_of(told: GateFile) -> GatePlan | CiOnly:
    """What a gate file comes to, wherever it stood."""
    if told.local == "none":
        return CiOnly()
    setup = None
    if told.setup is not None:
        manifests = tuple(told.setup.manifests) or _MANIFESTS
        setup = SetupPlan(commands=tuple(told.setup.run), manifests=manifests, timeout_s=told.setup.timeout_s)
    return GatePlan(
        image=told.image,
        setup=setup,
        gates=tuple(map(gate_of, told.gate)),
        environment=tuple(sorted(told.environment.items())),
        services=tuple(map(service_of, told.service)),
        policy=policy_of(told.policy),
        reviewers=tuple(map(reviewer_of, told.reviewer)),
        declared=True,
    )


def _recognised(paths: Sequence[str], read: Read) -> GatePlan | NoGate:
    known = [(name, found) for name, look in _ECOSYSTEMS if (found := look(paths, read)) is not None]
    gates = [(name, found.gate) for name, found in known if found.gate is not None]
    if not gates:
        tasks = (found.gate for look in _TASKS if (found := look(paths, read)) is not None)
        gates = [("test", gate) for gate in tasks if gate is not None][:1]
    if not gates:
        lack = "no tests to judge by: add some" if known else "no gate: nothing here is known to run tests; add some"
        seen = "".join(f" ({told})" for told in hints(paths))
        return NoGate(
            reason=f"The repository has {lack}, or put a {GATE_FILE} with a [[gate]] on its base branch{seen}."
        )
    commands = tuple(one for _, found in known for one in found.setup)
    setup = None
    if commands:
        manifests = tuple(dict.fromkeys(one for _, found in known for one in found.manifests))
        setup = SetupPlan(commands=commands, manifests=manifests, timeout_s=TIMEOUT_S)
    return GatePlan(
        image=None,
        setup=setup,
        gates=tuple(gate if len(gates) == 1 else replace(gate, name=name) for name, gate in gates),
        environment=tuple(sorted({name: value for _, found in known for name, value in found.environment}.items())),
    )
