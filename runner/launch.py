"""How the agent in its sandbox is launched, and what its entrypoint tells of its end. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from runner.model import Tier
from runner.sandbox import IMAGE_FILES, IN_DIR, MODEL_PORT, PYTHON

CLAUDE = "/usr/local/bin/claude"
SYSTEM_PROMPT = f"{IN_DIR}/system.md"
"""Where the base commit's guidance to agents lies, if there is any."""


def claude_argv(
    tier: Tier, *, session_id: str, max_micro_usd: int, system_prompt_file: str | None = None
) -> tuple[str, ...]:
    """The command line of a headless Claude Code at that tier, spending at most `max_micro_usd`; the prompt is stdin.

    session_id: a UUID never used before. system_prompt_file: an inside path whose text is added to the system prompt.
    """
    guidance = ("--append-system-prompt-file", system_prompt_file) if system_prompt_file is not None else ()
    return (
        CLAUDE,
        "-p",
        *("--output-format", "stream-json", "--verbose"),
        *("--model", tier.model, "--effort", tier.effort),
        *("--restricted", "--setting-sources", "", "--strict-mcp-config", "--disable-slash-commands"),
        *("--permission-mode", "acceptEdits", "--permission-prompts", "none"),
        *("--max-turns", str(tier.max_turns), "--max-budget-usd", _dollars(max_micro_usd)),
        *("--session-id", session_id),
        *guidance,
        *("--mcp-config", _MCP_CONFIG),
        # Only our own server: naming a file tool here would open files outside the tree to it.
        *("--allowedTools", "mcp__ash"),
        *("--tools", "Read,Edit,Write,Glob,Grep"),
    )


_MCP_CONFIG = json.dumps(
    {
        "mcpServers": {
            "ash": {"type": "stdio", "command": PYTHON[0], "args": [*PYTHON[1:], f"{IMAGE_FILES}/filetools.py"]}
        }
    }
)


def _dollars(micro_usd: int) -> str:
    bounded = max(1, micro_usd)  # the CLI takes no zero
    return f"{bounded // 1_000_000}.{bounded % 1_000_000:06d}"


def claude_environment(
    credential_kind: Literal["api_key", "oauth"], placeholder: str, port: int = MODEL_PORT
) -> dict[str, str]:
    """The whole environment of Claude Code: a placeholder for the credential, and the relay's port for the model."""
    credential = "ANTHROPIC_API_KEY" if credential_kind == "api_key" else "CLAUDE_CODE_OAUTH_TOKEN"
    return {
        "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{port}",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_MAX_RETRIES": "5",
        "DISABLE_AUTOUPDATER": "1",
        "HOME": "/tmp/home",  # noqa: S108 - inside the sandbox
        "LANG": "C.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "TMPDIR": "/tmp/scratch",  # noqa: S108 - inside the sandbox
        credential: placeholder,
    }


def launch_file(argv: tuple[str, ...], environment: dict[str, str], *, completion_grace_s: int = 20) -> bytes:
    """The bytes of `launch.json`, which the agent's entrypoint reads beside `prompt.txt`."""
    launch = {
        "argv": list(argv),
        "environment": environment,
        "prompt_file": "prompt.txt",
        "completion_grace_s": completion_grace_s,
    }
    return json.dumps(launch, indent=1).encode("utf-8")


class ExitReason(StrEnum):
    """Why the agent's process is over, as its entrypoint saw it."""

    EXITED = "exited"
    GRACE = "grace"
    OUTPUT_LIMIT = "output_limit"
    TERMINATED = "terminated"
    ALREADY_STARTED = "already_started"


@dataclass(frozen=True, kw_only=True)
class AgentExit:
    """What `exit.json` says: an exit code or the signal that ended it (neither where it was not started)."""

    code: int | None
    signal: int | None
    reason: ExitReason


_EXIT: TypeAdapter[AgentExit] = TypeAdapter(AgentExit)


def read_exit(data: bytes) -> AgentExit | None:
    """The record that the entrypoint wrote; None for anything else."""
    try:
        return _EXIT.validate_json(data)
    except ValidationError:
        return None
