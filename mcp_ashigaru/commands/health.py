"""`mcp-ashigaru doctor` and `mcp-ashigaru images`."""

from __future__ import annotations

import typer

from mcp_ashigaru.doctor import Question, Token, diagnose
from mcp_ashigaru.findings import healthy, render
from mcp_ashigaru.settings import Settings, secret_file
from mcp_ashigaru.stores import github_trouble, records_file
from mcp_ashigaru.walls import build_images, podman_argv
from runner.errors import EngineDown


def report(settings: Settings) -> int:
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
            disk_floor=settings.disk_floor,
            github=github_trouble(settings),
        )
    )
    typer.echo(render(findings))
    return 0 if healthy(findings) else 1


def _argv(settings: Settings) -> tuple[str, ...]:
    try:
        return podman_argv(settings)
    except EngineDown:
        # The diagnosis is what tells of a podman that is missing or does not work.
        return ("podman",)


def build(settings: Settings) -> None:
    """Have the images there, saying what is done."""
    build_images(settings, typer.echo)
