"""Where the daemon may listen, and the door it keeps there."""

from __future__ import annotations

from urllib.parse import urlsplit

from mcp_ashigaru.settings import ConfigError, Settings
from mcp_ashigaru.web.door import Names
from mcp_ashigaru.web.doorkeeper import Door
from runner.keyring import Keyring


def door_of(settings: Settings, keyring: Keyring) -> Door:
    """The door of the daemon. Raises ConfigError where it would stand open to a network."""
    refuse_an_open_door(settings, has_a_token=settings.is_loopback or keyring.opens())
    public = () if settings.public_url is None else (urlsplit(settings.public_url).netloc,)
    return Door(
        names=Names.of_listener(settings.host, (*settings.allowed_hosts, *public)),
        caller=keyring.caller,
        ask_nobody=settings.is_loopback and settings.bearer is None,
    )


def refuse_an_open_door(settings: Settings, *, has_a_token: bool) -> None:
    """Nothing, if the daemon may listen where it is to. has_a_token: some token opens it. Raises ConfigError."""
    if settings.is_loopback:
        return
    if not has_a_token:
        raise ConfigError(
            f"Serving on {settings.host} needs a token: set ASHIGARU_MCP_TOKEN_FILE, make one with "
            "`mcp-ashigaru token new`, or use --host 127.0.0.1."
        )
    if not settings.allowed_hosts:
        raise ConfigError(
            f"Serving on {settings.host} needs the names that clients use: set ASHIGARU_ALLOWED_HOSTS, "
            "or use --host 127.0.0.1."
        )
