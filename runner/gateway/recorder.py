"""Writes what a real model answered as a cassette, so that it can be replayed for nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import tomli_w

from runner.files import write_whole
from runner.gateway.cassette import CWD
from runner.gateway.upstream import Answer, Asked, Upstream, UpstreamCut

_MAX_ANSWER = 32 * 1024 * 1024


class Recording:
    """`Upstream` that passes another's answers on and keeps the good ones; the file is whole after every turn."""

    needs_credential = True

    def __init__(self, inner: Upstream, path: Path) -> None:
        """Record what `inner` answers into `path`, replacing what is there."""
        self._inner = inner
        self._path = path
        self._scripts: dict[tuple[int, str, str | None], dict[int, dict[str, Any]]] = {}

    @asynccontextmanager
    async def send(self, asked: Asked) -> AsyncIterator[Answer]:
        """See `Upstream.send`."""
        async with self._inner.send(asked) as answer:
            yield Answer(status=answer.status, headers=answer.headers, chunks=self._kept(asked, answer))

    async def close(self) -> None:
        """See `Upstream.close`."""
        await self._inner.close()

    async def _kept(self, asked: Asked, answer: Answer) -> AsyncIterator[bytes]:
        held = bytearray()
        async for chunk in answer.chunks:
            if len(held) < _MAX_ANSWER:
                held += chunk
            yield chunk
        if answer.status == 200:
            self._keep(asked, bytes(held))

    def _keep(self, asked: Asked, body: bytes) -> None:
        request = json.loads(asked.body)
        if not request.get("tools"):
            return
        whole = json.loads(body) if not request.get("stream") else assembled(body)
        messages = request.get("messages", [])
        index = sum(one.get("role") == "assistant" for one in messages)
        key = (asked.attempt, str(request.get("model", "")), request.get("output_config", {}).get("effort"))
        self._scripts.setdefault(key, {})[index] = turn_of(whole)
        write_whole(self._path, self._rendered().encode("utf-8"))

    def _rendered(self) -> str:
        scripts = []
        for (attempt, model, effort), turns in sorted(self._scripts.items(), key=lambda item: item[0][0]):
            script: dict[str, Any] = {"tier": model, "attempt": attempt}
            if effort is not None:
                script["effort"] = effort
            script["turn"] = [turns[index] for index in sorted(turns)]
            scripts.append(script)
        return tomli_w.dumps({"version": 1, "script": scripts}, multiline_strings=True)


def turn_of(answer: dict[str, Any]) -> dict[str, Any]:
    """A whole answer as a turn of a cassette."""
    blocks = answer.get("content", [])
    turn: dict[str, Any] = {}
    text = "".join(block.get("text", "") for block in blocks if block.get("type") == "text")
    if text:
        turn["text"] = text.replace(CWD, "{cwd}")
    tools = [block for block in blocks if block.get("type") == "tool_use"]
    if tools:
        turn["tool"] = [{"name": tool["name"], "input": _relative(tool.get("input", {}))} for tool in tools]
    if answer.get("stop_reason") in {"max_tokens", "refusal"}:
        turn["stop_reason"] = answer["stop_reason"]
    names = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    usage = {name: value for name in names if isinstance(value := answer.get("usage", {}).get(name), int)}
    if usage:
        turn["usage"] = usage
    return turn


def _relative(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace(CWD, "{cwd}")
    if isinstance(value, list):
        return [_relative(one) for one in value]
    if isinstance(value, dict):
        # TOML has no null; a null argument is an argument left out.
        return {key: _relative(one) for key, one in value.items() if one is not None}
    return value


def assembled(stream: bytes) -> dict[str, Any]:
    """The whole answer that a complete event stream adds up to. Raises UpstreamCut for one that is not complete."""
    answer: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    ended = False
    for line in stream.split(b"\n"):
        if not line.startswith(b"data:"):
            continue
        event = json.loads(line[5:])
        match event.get("type"):
            case "message_start":
                answer = dict(event["message"])
            case "content_block_start":
                blocks[event["index"]] = dict(event["content_block"]) | {"json": ""}
            case "content_block_delta":
                delta, block = event["delta"], blocks[event["index"]]
                block["text"] = block.get("text", "") + delta.get("text", "")
                block["json"] += delta.get("partial_json", "")
            case "message_delta":
                answer["stop_reason"] = event["delta"].get("stop_reason")
                answer["usage"] = {**answer.get("usage", {}), **event.get("usage", {})}
            case "message_stop":
                ended = True
            case _:
                pass
    if not ended:
        raise UpstreamCut
    for block in blocks.values():
        told = block.pop("json")
        if block.get("type") == "tool_use":
            block["input"] = json.loads(told or "{}")
    answer["content"] = [blocks[index] for index in sorted(blocks)]
    return answer
