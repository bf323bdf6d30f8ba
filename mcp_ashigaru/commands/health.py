"""`mcp-ashigaru doctor` and `mcp-ashigaru images`."""

from __future__ import annotations

from pathlib import Path

import typer
from sqlalchemy.engine import make_url

from mcp_ashigaru.daemon import build_images, podman_argv, records_url
from mcp_ashigaru.doctor import Question, Token, diagnose, healthy, render
from mcp_ashigaru.settings import Settings, secret_file


def report(settings: Settings) -> int:
    """Print the diagnosis; 0 if runs can work, else 1."""
    url = make_url(records_url(settings))
    sqlite = url.get_backend_name() == "sqlite" and url.database
    findings = diagnose(
        Question(
            podman_argv=podman_argv(settings),
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
            database=Path(str(url.database)) if sqlite else None,
        )
    )
    typer.echo(render(findings))
    return 0 if healthy(findings) else 1


def build(settings: Settings) -> None:
    """Have the images there, saying what is done."""
    build_images(settings, typer.echo)
