"""The settings of what the daemon keeps, and of where it starts: those that `settings` has no room for."""

from __future__ import annotations

from typing import Literal

from pydantic_settings import BaseSettings

from runner.retention import Retention


class HouseSettings(BaseSettings):
    """A part of `mcp_ashigaru.settings.Settings`, which reads them."""

    keep: Retention = Retention()
    """How long what is kept, in days, bytes and numbers; see `runner.retention`."""
    start_policy: Literal["first", "cheapest"] = "first"
    """At which tier a ticket starts that names no model: the first, or what the ledger expects to be cheapest."""
