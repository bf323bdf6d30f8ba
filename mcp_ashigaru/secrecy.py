"""The daemon's own secrets: their names for whoever looks for them, and a log without them."""

from __future__ import annotations

import logging
from functools import partial

from mcp_ashigaru.settings import ConfigError, Settings
from mcp_ashigaru.state_dir import canary_of, forge_secret
from runner.adapters.secret_scanner import DetectSecrets
from runner.guard import Guard
from runner.leaks import Marked, redact
from runner.ports import Clock
from runner.records import Records


def marked_of(settings: Settings) -> tuple[Marked, ...]:
    """Every secret that the settings hold, and the built-in forge's. Raises ConfigError where a file cannot be read."""
    named = {
        "the model's API key": settings.anthropic_api_key,
        "the model's OAuth token": settings.claude_code_oauth_token,
        "the GitHub token": settings.github_token,
        "the webhook's secret": settings.github_webhook_secret,
        "the daemon's own token": settings.mcp_token,
    }
    marked = [Marked(name=name, value=value.get_secret_value()) for name, value in named.items() if value is not None]
    if settings.github_app_key_file is not None:
        try:
            key = settings.github_app_key_file.read_text(encoding="utf-8", errors="replace")
        except OSError as exc:
            raise ConfigError(
                f"{settings.github_app_key_file} cannot be read; correct ASHIGARU_GITHUB_APP_KEY_FILE."
            ) from exc
        marked.append(Marked(name="the GitHub App's key", value=key))
    marked.append(Marked(name="the built-in forge's secret", value=forge_secret(settings.state_dir)))
    return tuple(marked)


def guard_of(settings: Settings, records: Records, clock: Clock) -> Guard:
    """What keeps them in, and everybody else's credentials out of pull requests."""
    return Guard(
        records=records,
        clock=clock,
        scanner=DetectSecrets(),
        marked=marked_of(settings),
        canary=partial(canary_of, settings.state_dir),
    )


class Redacting(logging.Formatter):
    """A formatter whose lines, traces among them, name the secrets that they would have held."""

    def __init__(self, pattern: str, marked: tuple[Marked, ...]) -> None:
        """Lines as `pattern` has them."""
        super().__init__(pattern)
        self._marked = marked

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return redact(super().format(record), self._marked)
