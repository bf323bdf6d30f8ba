"""What an agent asks of the model, read before it is passed on. Pure.

An attempt asks its own tier's model: to a dearer one only the ladder climbs. And the model API can itself reach the
network for whoever asks: it fetches URLs, searches, connects to MCP servers, runs code. A sandbox without a network
must not get one that way. Such questions are refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from runner.gateway.models import may_ask, may_think

_MAX_OUTPUT: Final = 1_000_000
# Tools that the client carries out itself. One without a type, or of type "custom", is the client's own.
_CLIENT_TOOLS: Final = ("bash_", "text_editor_", "memory_", "tool_search_tool_")
_REACHING_FIELDS: Final = ("mcp_servers", "container")


@dataclass(frozen=True, kw_only=True)
class Question:
    """model: the id asked for. max_output: tokens that the answer may have. stream: whether events are wanted."""

    model: str
    max_output: int
    stream: bool


@dataclass(frozen=True, kw_only=True)
class Unasked:
    """It is not passed on; reason is one sentence."""

    reason: str


def read_question(body: bytes, tier_model: str, tier_effort: str) -> Question | Unasked:
    """What a request's body asks for, or why an attempt at that tier may not ask that."""
    try:
        told = json.loads(body.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return Unasked(reason="the request is not a JSON object in UTF-8 with every key once")
    if not isinstance(told, dict):
        return Unasked(reason="the request is not a JSON object")
    reach = _reach(told)
    if reach is not None:
        return Unasked(reason=f"{reach} would reach the network from the model's side, which a sandbox may not")
    model, most = told.get("model"), told.get("max_tokens")
    dearer = _dearer(told, tier_model, tier_effort)
    if dearer is not None:
        return Unasked(reason=dearer)
    return Question(
        model=str(model)[:200],
        max_output=min(max(most, 0), _MAX_OUTPUT) if isinstance(most, int) else 0,
        stream=told.get("stream") is True,
    )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Of two equal keys the reader at the other end might take the one that was not looked at here.
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key comes twice")
    return made


def _dearer(told: dict[str, Any], tier_model: str, tier_effort: str) -> str | None:
    """Why the question is not one of the attempt's tier: what to pay for is not the agent's to choose."""
    model, config = told.get("model"), told.get("output_config")
    effort = config.get("effort") if isinstance(config, dict) else None
    if not isinstance(model, str) or not may_ask(tier_model, model):
        return f"this attempt may ask {tier_model} and no other model; it asked {str(model)[:60]}"
    if not may_think(tier_effort, effort if effort is None else str(effort)):
        return f"this attempt may ask for effort {tier_effort} at most; it asked for {str(effort)[:20]}"
    if told.get("speed") not in {None, "standard"}:
        return "an answer at a dearer speed is not this attempt's to ask for"
    return None


def _reach(told: dict[str, Any]) -> str | None:
    for name in _REACHING_FIELDS:
        if told.get(name):
            return name
    tools = told.get("tools") or []
    if not isinstance(tools, list):
        return "a list of tools that is none"
    for tool in tools:
        kind = tool.get("type", "custom") if isinstance(tool, dict) else None
        if not isinstance(kind, str) or not (kind == "custom" or kind.startswith(_CLIENT_TOOLS)):
            return f"a tool of type {str(kind)[:60]}"
    if any(str(source.get("type")) in {"url", "file"} for source in _sources(told.get("messages"))):
        return "a source that is a URL or a file of the account"
    return None


def _sources(messages: object) -> Iterable[dict[str, Any]]:
    """Every `source` object in the content of messages, and of tool results in them."""
    waiting = [messages]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            source = one.get("source")
            if isinstance(source, dict):
                yield source
                waiting.append(source.get("content"))
            waiting.append(one.get("content"))
