"""The settings of what one sandbox may use of the host: those that `settings` has no room for."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings


class SandboxSettings(BaseSettings):
    """A part of `mcp_ashigaru.settings.Settings`, which reads them. Sizes are bytes."""

    agent_memory: int = 4 * 1024**3
    gate_memory: int = 4 * 1024**3
    gates_side_by_side: int = Field(default=2, ge=1, le=16)
    """How many gates of one judgement run at once."""
    sandbox_pids: int = Field(default=512, ge=32, le=32_768)
    """Processes and threads that one sandbox may have."""
    sandbox_cpus: float = Field(default=2, ge=0.1, le=1024)
    """Processors that one sandbox may use up, where the host can hold it to that."""
    sandbox_disk: int = Field(default=4 * 1024**3, ge=1024**2)
    """Bytes that one sandbox may write to its tree and its output together."""
    sandbox_files: int = Field(default=500_000, ge=1000, le=5_000_000)
    """Files and directories that it may have there."""
    disk_floor: int = Field(default=2 * 1024**3, ge=0)
    """Bytes free below which no round starts; at half of it running sandboxes are stopped."""
