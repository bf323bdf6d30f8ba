"""`.ashigaru.toml`: what a repository says of its own gates. Read at the base commit, never at the head.

The operator's `fleet.toml` may hold the same document for a repository, and that one stands. docs/gates.md describes
the format, docs/ashigaru.schema.json is it for editors.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final, Literal, Self

from pydantic import Field, ValidationError, model_validator

from gates.errors import BadGateSpec
from gates.spec_sections import (
    Environment,
    GateSection,
    Image,
    PolicySection,
    ReviewerSection,
    Section,
    ServiceSection,
    SetupSection,
)
from gates.text import clean

GATE_FILE: Final = ".ashigaru.toml"
MAX_FILE_BYTES: Final = 64 * 1024


class GateFile(Section):
    """The whole file. environment: variables of the set-up and of every gate; no place for a secret.

    local: "none" says that no gate can run sealed here, and that the forge's CI alone vouches for a change.
    """

    local: Literal["sealed", "none"] = "sealed"
    image: Image | None = None
    environment: Environment = Field(default={})
    setup: SetupSection | None = None
    policy: PolicySection | None = None
    gate: list[GateSection] = Field(default=[], max_length=20)
    service: list[ServiceSection] = Field(default=[], max_length=5)
    reviewer: list[ReviewerSection] = Field(default=[], max_length=10)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        """Raise ValueError with the key and the rule, where one section does not fit the others."""
        wrong = next(_misfits(self), None)
        if wrong is not None:
            raise ValueError(wrong)
        return self


def parse_gate_file(data: bytes) -> GateFile:
    """The file's content, checked. Raises BadGateSpec with one sentence that names the key and the cure."""
    if len(data) > MAX_FILE_BYTES:
        raise BadGateSpec(f"the file is over {MAX_FILE_BYTES} bytes; keep long scripts in files of their own.")
    try:
        return GateFile.model_validate(read_toml(data))
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        problem = clean(first["msg"].removeprefix("Value error, ").rstrip("."), 300)
        # What concerns several sections has no place of its own, and names the key itself.
        said = f"{_key(first['loc'])}: {problem}" if first["loc"] or first["type"] != "value_error" else problem
        raise BadGateSpec(f"{said}; docs/gates.md says what it may be.") from exc
    except ValueError as exc:
        raise BadGateSpec(f"it is not valid TOML ({clean(str(exc), 200)}); correct it on the base branch.") from exc


def read_toml(data: bytes) -> dict[str, Any]:
    """TOML that somebody else wrote. Raises ValueError for everything that it cannot be read as."""
    try:
        return tomllib.loads(data.decode("utf-8"))
    except RecursionError as exc:
        raise ValueError("it is nested too deep") from exc


def schema_text() -> str:
    """The format as a JSON schema (2020-12), the same text on every machine."""
    told = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **GateFile.model_json_schema(by_alias=True),
        "title": GATE_FILE,
    }
    return json.dumps(told, indent=2, sort_keys=True) + "\n"


def _misfits(told: GateFile) -> Iterator[str]:
    if told.local == "none" and (told.gate or told.setup or told.service or told.reviewer or told.policy):
        yield 'local: "none" leaves the judging to CI; take out every [[gate]] and all that goes with them'
    if told.local == "sealed" and not told.gate:
        yield 'gate: there is none; add a [[gate]], or say local = "none" to leave the judging to CI'
    if told.gate and not any(one.required for one in told.gate):
        yield "gate.required: every gate is advisory, so nothing would decide; let one be required"
    gates, services = [one.name for one in told.gate], [one.name for one in told.service]
    for kind, names in (("gate", gates), ("service", services)):
        twice = _twice(names)
        if twice is not None:
            yield f"{kind}.name: {twice} is there twice; give each {kind} a name of its own"
    twice = _twice([*gates, *(one.name for one in told.reviewer)])
    if twice is not None:
        yield f"reviewer.name: {twice} is there twice; give each reviewer a name that no gate and no other has"
    yield from _needs(told.gate)
    if told.policy is not None and told.policy.require_reproducer and told.policy.no_reproducer is not None:
        yield "policy.no-reproducer: require_reproducer says already that it fails; say one of the two"


def _needs(gates: list[GateSection]) -> Iterator[str]:
    """What is wrong with what gates need of one another."""
    required = {one.name: one.required for one in gates}
    for one in gates:
        unknown = next((name for name in one.needs if name not in required), None)
        if unknown is not None:
            yield f"gate.needs: {one.name} needs {unknown}, and there is no gate of that name; name one that is there"
        advisory = next((name for name in one.needs if not required.get(name, True)), None)
        if advisory is not None:
            yield f"gate.needs: {one.name} needs {advisory}, which is advisory and decides nothing; make that required"
    try:
        TopologicalSorter({one.name: one.needs for one in gates}).prepare()
    except CycleError as exc:
        yield f"gate.needs: {' needs '.join(reversed(exc.args[1]))}, in a circle; take out one of these"


def _twice(names: list[str]) -> str | None:
    return next((name for name in names if names.count(name) > 1), None)


def _key(place: tuple[int | str, ...]) -> str:
    """The key as the file's author knows it: `gate.2.run` counts gates from 1."""
    parts = [str(part + 1) if isinstance(part, int) else part for part in place if part != "[key]"]
    return clean(".".join(parts), 120) or "the file"
