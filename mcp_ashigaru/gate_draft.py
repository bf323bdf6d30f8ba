"""A gate file for a repository that has none: what its files show, written down with what more could be said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import tomli_w

from gates.ecosystem import Gate
from gates.plan import GatePlan
from gates.test_runners import runner_in

_HEAD: Final = """\
# How changes to this repository are judged. Read at the base commit: what a change says here counts once it is merged.
# Everything that may stand here is in docs/gates.md; `mcp-ashigaru gates lint` checks it.
"""
_IMAGE: Final = """
# The image that all of it runs in, instead of the operator's default; it is never pulled.
# image = "localhost/my-gate:1"
"""
_ENVIRONMENT: Final = """
# Of the set-up and of every gate. No place for a secret.
"""
_SETUP: Final = """
# Run once on the base's files, with egress to the operator's hosts; what it puts in /ashigaru/env is kept for gates.
# It is done anew when a file that fits `manifests` changes.
"""
_GATE: Final = """
# Sealed: no network, no credential. `junit` names the report that it writes to /ashigaru/out, which has to bear it out.
"""
_MORE: Final = """
# More that a gate may say:
# directory = "packages/api"        # where it runs
# paths = ["packages/api/**"]       # asked only of changes that touch these
# needs = ["lint"]                  # not before these are green
# required = false                  # shown, and decides nothing

# [policy]
# require_reproducer = true         # a change brings a test that fails on the base and passes on it
# tests-gone = "fail"               # instead of "needs_human"; docs/gates.md lists the findings
# retries = 1                       # times that a red gate is asked again, to tell a flaky test
"""


def draft(plan: GatePlan) -> str:
    """The file's text. Reading it gives the plan again, but that it is declared."""
    parts = [_HEAD, _IMAGE if plan.image is None else _table({"image": plan.image})]
    if plan.environment:
        parts += [_ENVIRONMENT, _table({"environment": dict(plan.environment)})]
    if plan.setup is not None:
        setup = {
            "run": list(plan.setup.commands),
            "manifests": list(plan.setup.manifests),
            "timeout_s": plan.setup.timeout_s,
        }
        parts += [_SETUP, "[setup]\n", _table(setup)]
    for gate in plan.gates:
        parts += [_GATE, "[[gate]]\n", _table(_gate(gate))]
    return "".join([*parts, _MORE])


def _gate(gate: Gate) -> dict[str, Any]:
    """Its keys, without those that say what is so anyway."""
    told: dict[str, Any] = {"name": gate.name, "run": gate.run, "junit": gate.junit}
    told["printed"] = True if gate.printed else None
    if gate.runner is not None and gate.runner is not runner_in(gate.run):
        told["runner"] = gate.runner.value
    told |= {
        "timeout_s": gate.timeout_s,
        "image": gate.image,
        "directory": gate.directory or None,
        "environment": dict(gate.environment) or None,
        "paths": list(gate.paths) or None,
        "needs": list(gate.needs) or None,
        "required": None if gate.required else False,
    }
    return {key: value for key, value in told.items() if value is not None}


def _table(values: Mapping[str, Any]) -> str:
    """Keys with their values, a line or a list each; tables within are written in one line."""
    return "".join(
        f"{key} = {{ {', '.join(_table({name: one}).strip() for name, one in value.items())} }}\n"
        if isinstance(value, dict)
        else tomli_w.dumps({key: value})
        for key, value in values.items()
    )
