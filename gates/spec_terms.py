"""From what a gate file says to what the judge works with. Pure."""

from __future__ import annotations

from gates.ecosystem import Gate
from gates.findings import FindingKind, Weight
from gates.policy import Policy
from gates.reviewers import ReportFormat, Reviewer
from gates.services import Service
from gates.spec_sections import GateSection, PolicySection, ReviewerSection, ServiceSection
from gates.test_runners import TestRunner, runner_in


def gate_of(told: GateSection) -> Gate:
    """The gate; whose tests it runs is recognised in its command, unless that is said."""
    return Gate(
        name=told.name,
        run=told.run,
        junit=told.junit,
        timeout_s=told.timeout_s,
        printed=told.printed,
        runner=_runner(told),
        image=told.image,
        directory=told.directory or "",
        environment=tuple(sorted(told.environment.items())),
        paths=tuple(told.paths),
        needs=tuple(dict.fromkeys(told.needs)),
        required=told.required,
    )


def reviewer_of(told: ReviewerSection) -> Reviewer:
    """The reviewer."""
    return Reviewer(
        name=told.name,
        run=told.run,
        report=told.report,
        format=ReportFormat(told.format),
        timeout_s=told.timeout_s,
        blocking=told.blocking,
    )


def service_of(told: ServiceSection) -> Service:
    """The service."""
    return Service(
        name=told.name,
        image=told.image,
        run=told.run,
        environment=tuple(sorted(told.environment.items())),
        writable=tuple(told.writable),
        ready=told.ready,
        ready_timeout_s=told.ready_timeout_s,
        memory=told.memory_mb * 1024 * 1024,
    )


def policy_of(told: PolicySection | None) -> Policy:
    """The policy; None: what there is by itself."""
    if told is None:
        return Policy()
    said = {kind: getattr(told, kind.value.replace("-", "_")) for kind in sorted(FindingKind)}
    return Policy(
        weights=tuple((kind, Weight(word)) for kind, word in said.items() if word is not None),
        require_reproducer=told.require_reproducer,
        allow_red_base=told.allow_red_base,
        keep_going=told.keep_going,
        retries=told.retries,
    )


def _runner(told: GateSection) -> TestRunner | None:
    match told.runner:
        case None:
            return runner_in(told.run)
        case "none":
            return None
        case named:
            return TestRunner(named)
