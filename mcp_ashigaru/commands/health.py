"""`mcp-ashigaru doctor` and `mcp-ashigaru images`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from mcp_ashigaru.commands import self_test as self_test_command
from mcp_ashigaru.commands.telling import Json, say
from mcp_ashigaru.doctor import Question, Token, diagnose
from mcp_ashigaru.findings import Finding, Level, healthy, render
from mcp_ashigaru.fleet_file import fleet_trouble
from mcp_ashigaru.settings import Settings, load_settings, secret_file
from mcp_ashigaru.stores import github_trouble, records_file
from mcp_ashigaru.walls import build_images, podman_argv
from runner.errors import EngineDown

SelfTest = Annotated[
    bool, typer.Option("--self-test", help="Start every kind of sandbox, and assert from inside that it is sealed.")
]


def doctor(self_test: SelfTest = False, as_json: Json = False) -> None:
    """Examine this host: each line ok, warn or fail, with the cure."""
    if self_test:
        raise typer.Exit(self_test_command.report(load_settings(), as_json=as_json))
    raise typer.Exit(report(load_settings(), as_json=as_json))


def images() -> None:
    """Build the sandbox images, once."""
    build_images(load_settings(), typer.echo)


def report(settings: Settings, *, as_json: bool = False) -> int:
    """Print the diagnosis; 0 if runs can work, else 1."""
    findings = diagnose(
        Question(
            podman_argv=_argv(settings),
            state_dir=settings.state_dir,
            images=(settings.agent_image, settings.relay_image, settings.gate_image),
            tokens=tuple(
                Token(name=variable, present=getattr(settings, field) is not None, file=secret_file(variable))
                for field, variable in (
                    ("anthropic_api_key", "ANTHROPIC_API_KEY"),
                    ("claude_code_oauth_token", "CLAUDE_CODE_OAUTH_TOKEN"),
                )
            ),
            needs_token=not settings.model_upstream.startswith("replay:"),
            database=records_file(settings),
            settled=judge_fleet(fleet_trouble(settings)),
            disk_floor=settings.disk_floor,
            slots=settings.slots,
            slot_memory=settings.agent_memory + settings.gate_memory,
            github=github_trouble(settings),
        )
    )
    say([asdict(finding) for finding in findings]) if as_json else typer.echo(render(findings))
    return 0 if healthy(findings) else 1


def judge_fleet(trouble: str | None) -> tuple[Finding, ...]:
    """The operator's rules for repositories, if there are any. `trouble` is a sentence, its cure behind the last ;."""
    if trouble is None:
        return ()
    if not trouble:
        return (Finding(level=Level.OK, subject="fleet.toml", text="can be read"),)
    text, _, cure = trouble.rstrip(".").rpartition("; ")
    return (Finding(level=Level.FAIL, subject="fleet.toml", text=text or cure, cure=cure),)


def _argv(settings: Settings) -> tuple[str, ...]:
    try:
        return podman_argv(settings)
    except EngineDown:
        # The diagnosis is what tells of a podman that is missing or does not work.
        return ("podman",)
