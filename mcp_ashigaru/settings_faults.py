"""What may be wrong with settings, in one sentence each."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import ValidationError


class ConfigError(Exception):
    """The daemon cannot start as it is configured; the text is one sentence with a cure."""


def refuse_an_unclear_identity(*, token: bool, app: bool, key: bool) -> None:
    """Nothing, where GitHub is given a token or an App, and not both. Raises ConfigError."""
    if token and (app or key):
        raise ConfigError("GitHub is given a token and an App; unset ASHIGARU_GITHUB_TOKEN or ASHIGARU_GITHUB_APP_ID.")
    if app != key:
        lacking = "ASHIGARU_GITHUB_APP_ID" if key else "ASHIGARU_GITHUB_APP_KEY_FILE"
        raise ConfigError(f"A GitHub App needs its id and its key; set {lacking} too.")
    if not token and not app:
        raise ConfigError(
            "GitHub needs a credential: set ASHIGARU_GITHUB_TOKEN_FILE, or "
            "ASHIGARU_GITHUB_APP_ID and ASHIGARU_GITHUB_APP_KEY_FILE."
        )


def sentence(exc: ValidationError, variable_of: Callable[[str], str]) -> str:
    """What is wrong with the first wrong setting, and where its form is told."""
    first = exc.errors(include_input=False, include_url=False, include_context=False)[0]
    field, *inner = (str(part) for part in first["loc"]) if first["loc"] else ("ladder",)
    variable = field if field.isupper() else variable_of(field)
    where = f" at {'.'.join(inner)}" if inner else ""
    problem = first["msg"].removeprefix("Value error, ").removeprefix("Input ").splitlines()[0].rstrip(".")
    return f"{variable} is wrong{where}: it {problem}; docs/operate.md says what it takes."
