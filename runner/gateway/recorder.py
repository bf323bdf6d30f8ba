"""Writes what a real model answered as a cassette, so that it can be replayed for nothing."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import tomli_w

from runner.files import write_whole
from runner.gateway.cassette import CWD, CWD_PLACEHOLDER, PLACEHOLDERS
from runner.gateway.upstream import Answer, Asked, Upstream

_LOG: Final = logging.getLogger(__name__)
_MAX_ANSWER: Final = 32 * 1024 * 1024
_MAX_TURNS: Final = 500
_MAX_SCRIPTS: Final = 200
_USAGE: Final = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")

ScriptKey: TypeAlias = tuple[int, str, str | None]


class NotRecorded(Exception):
    """The answer is not whole, or not one of the agent's main work."""


class Recording:
    """`Upstream` that passes another's answers on and keeps the good ones; the file is whole after every turn.

    A cassette knows attempts and not runs: record one run at a time, a second one replaces the turns of the first.
    """

    needs_credential = True

    def __init__(self, inner: Upstream, path: Path) -> None:
        """Record what `inner` answers into `path`, replacing what is there at the first turn."""
        self._inner = inner
        self._path = path
        self._scripts: dict[ScriptKey, dict[int, dict[str, Any]]] = {}
        self._writing = asyncio.Lock()

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
            if len(held) <= _MAX_ANSWER:
                held += chunk
            yield chunk
        if answer.status == 200 and asked.path.partition("?")[0] == "/v1/messages":
            try:
                key, index, turn = turn_recorded(asked, bytes(held))
            except NotRecorded as exc:
                _LOG.info("an answer was not recorded: %s", exc)
                return
            async with self._writing:
                self._keep(key, index, turn)
                await asyncio.to_thread(self._write)

    def _keep(self, key: ScriptKey, index: int, turn: dict[str, Any]) -> None:
        if key in self._scripts or len(self._scripts) < _MAX_SCRIPTS:
            turns = self._scripts.setdefault(key, {})
            if index < _MAX_TURNS:
                turns[index] = turn

    def _write(self) -> None:
        try:
            write_whole(self._path, rendered(self._scripts).encode("utf-8"))
        except OSError:
            _LOG.exception("the cassette %s cannot be written", self._path)


def rendered(scripts: dict[ScriptKey, dict[int, dict[str, Any]]]) -> str:
    """The cassette's text. A script ends at the first gap in its turns: what comes after would answer too early."""
    told = []
    for (attempt, model, effort), turns in sorted(scripts.items(), key=lambda item: (item[0][0], item[0][1])):
        unbroken = [turns[index] for index in range(len(turns)) if all(before in turns for before in range(index + 1))]
        if unbroken:
            conditions = {"tier": model, "attempt": attempt} | ({} if effort is None else {"effort": effort})
            told.append(conditions | {"turn": unbroken})
    return tomli_w.dumps({"version": 1, "script": told})


def turn_recorded(asked: Asked, body: bytes) -> tuple[ScriptKey, int, dict[str, Any]]:
    """Which script the answer belongs to, as which of its turns, and that turn. Raises NotRecorded."""
    try:
        request = json.loads(asked.body)
        if not request.get("tools"):
            raise NotRecorded("it is not part of the main work")
        answer = assembled(body) if request.get("stream") else json.loads(body)
        index = sum(one["role"] == "assistant" for one in request["messages"])
        effort = (request.get("output_config") or {}).get("effort")
        return (asked.attempt, str(request["model"]), effort), index, turn_of(answer)
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise NotRecorded(f"it is not as the Messages API words one ({type(exc).__name__})") from exc


def turn_of(answer: dict[str, Any]) -> dict[str, Any]:
    """A whole answer as a turn of a cassette."""
    blocks = answer["content"]
    text = "".join(block["text"] for block in blocks if block["type"] == "text")
    calls = [
        {"name": block["name"], "input": _sayable(block["input"])} for block in blocks if block["type"] == "tool_use"
    ]
    written = json.dumps([text, calls], ensure_ascii=False)
    # Code may hold what looks like a placeholder; then nothing is filled in, and the directory stays as it was.
    verbatim = any(placeholder in written for placeholder in PLACEHOLDERS)
    turn: dict[str, Any] = {"verbatim": True} if verbatim else {}
    if text:
        turn["text"] = text if verbatim else _portable(text)
    if calls:
        turn["tool"] = calls if verbatim else _portable(calls)
    if answer.get("stop_reason") in {"max_tokens", "refusal"}:
        turn["stop_reason"] = answer["stop_reason"]
    told = answer.get("usage") or {}
    usage = {name: told[name] for name in _USAGE if isinstance(told.get(name), int)}
    return turn | ({"usage": usage} if usage else {})


def _sayable(value: Any) -> Any:
    """TOML has no null: a null argument is one left out."""
    if isinstance(value, list):
        return [_sayable(one) for one in value if one is not None]
    if isinstance(value, dict):
        return {key: _sayable(one) for key, one in value.items() if one is not None}
    return value


def _portable(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace(CWD, CWD_PLACEHOLDER)
    if isinstance(value, list):
        return [_portable(one) for one in value]
    if isinstance(value, dict):
        return {key: _portable(one) for key, one in value.items()}
    return value


def assembled(stream: bytes) -> dict[str, Any]:
    """The whole answer that a complete event stream adds up to.

    Raises NotRecorded for one that is not complete, KeyError or ValueError for one that is no such stream.
    """
    events = [json.loads(line[5:]) for line in stream.split(b"\n") if line.startswith(b"data:")]
    if not any(event["type"] == "message_stop" for event in events):
        raise NotRecorded("it broke off")
    answer: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    for event in events:
        match event["type"]:
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
            case _:
                pass
    answer["content"] = [_block(blocks[index]) for index in sorted(blocks)]
    return answer


def _block(told: dict[str, Any]) -> dict[str, Any]:
    return told | {"input": json.loads(told["json"] or "{}")} if told["type"] == "tool_use" else told
