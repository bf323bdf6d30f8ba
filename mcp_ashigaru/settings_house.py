"""The settings of what the daemon keeps, and of where it starts: those that `settings` has no room for."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings

from runner.retention import Retention


class HouseSettings(BaseSettings):
    """A part of `mcp_ashigaru.settings.Settings`, which reads them."""

    disk_floor: int = Field(default=2 * 1024**3, ge=0)
    """Bytes free below which no round starts; at half of it running sandboxes are stopped."""
    keep: Retention = Retention()
    """How long what is kept, in days, bytes and numbers; see `runner.retention`."""
    start_policy: Literal["first", "cheapest"] = "first"
    """At which tier a ticket starts that names no model: the first, or what the ledger expects to be cheapest."""
