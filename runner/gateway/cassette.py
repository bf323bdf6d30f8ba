"""A cassette: a file that scripts a model, turn by turn, for each tier. Format: docs/cassettes.md.

Which turn answers a request is read from the request itself, so that a retry, or a gateway that was restarted in
between, gets the same turn again.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from runner.errors import BadIntent

MAX_FILE_BYTES: Final = 16 * 1024 * 1024
CWD: Final = "/workspace"
CWD_PLACEHOLDER: Final = "{cwd}"
PLACEHOLDERS: Final = (CWD_PLACEHOLDER, "{attempt}", "{model}")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _as_json(told: dict[str, Any]) -> dict[str, Any]:
    try:
        json.dumps(told, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as exc:
        raise ValueError("has a date, a time, inf or nan, which JSON cannot say; write a string") from exc
    return told


class ScriptedTool(_Part):
    """A tool call of a turn."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    input: Annotated[dict[str, Any], AfterValidator(_as_json)] = {}


class ScriptedError(_Part):
    """An error answered `times` times before the turn itself."""

    status: Annotated[int, Field(ge=400, le=599)]
    type: str = "api_error"
    message: str = "scripted"
    retry_after_s: Annotated[int, Field(ge=0)] | None = None
    times: Annotated[int, Field(ge=1, le=1000)] = 1


class ScriptedUsage(_Part):
    """What the answer says it used."""

    input_tokens: Annotated[int, Field(ge=0)] = 0
    output_tokens: Annotated[int, Field(ge=0)] = 0
    cache_read_input_tokens: Annotated[int, Field(ge=0)] = 0
    cache_creation_input_tokens: Annotated[int, Field(ge=0)] = 0


class Turn(_Part):
    """One answer of the model, or how it misbehaves first."""

    text: str = ""
    tool: list[ScriptedTool] = []
    delay_s: Annotated[float, Field(ge=0, le=3600)] = 0.0
    error: ScriptedError | None = None
    cut_after_bytes: Annotated[int, Field(ge=1)] | None = None
    stop_reason: Literal["end_turn", "tool_use", "max_tokens", "refusal"] | None = None
    usage: ScriptedUsage | None = None
    verbatim: bool = False
    """Its strings are taken as they are: what looks like a placeholder is none."""


class Script(_Part):
    """The turns of one agent execution; it applies where each condition that is given holds."""

    tier: str | None = None
    effort: str | None = None
    attempt: Annotated[int, Field(ge=1)] | None = None
    turn: Annotated[list[Turn], Field(min_length=1, max_length=500)]

    def applies(self, model: str, effort: str | None, attempt: int) -> bool:
        """Whether this script answers that model, at that effort, in that attempt of the run."""
        return (
            (self.tier is None or self.tier in model)
            and (self.effort is None or self.effort == effort)
            and (self.attempt is None or self.attempt == attempt)
        )


class Cassette(_Part):
    """The whole file."""

    version: Literal[1]
    script: Annotated[list[Script], Field(min_length=1, max_length=200)]


def load_cassette(path: Path) -> Cassette:
    """The cassette in that file. Raises BadIntent with one sentence that names the file and the place."""
    try:
        with path.open("rb") as handle:
            data = handle.read(MAX_FILE_BYTES + 1)
    except OSError as exc:
        raise BadIntent(f"The cassette {path} cannot be read; correct the path in ASHIGARU_MODEL_UPSTREAM.") from exc
    return parse_cassette(data, str(path))


def parse_cassette(data: bytes, name: str) -> Cassette:
    """The cassette in these bytes; `name` is what an error calls it. Raises BadIntent."""
    if len(data) > MAX_FILE_BYTES:
        raise BadIntent(f"The cassette {name} is over {MAX_FILE_BYTES} bytes; split it by tier.")
    try:
        return Cassette.model_validate(tomllib.loads(data.decode("utf-8")))
    except (ValueError, RecursionError) as exc:
        if not isinstance(exc, ValidationError):
            raise BadIntent(f"The cassette {name} is not TOML in UTF-8: {exc}; correct it there.") from exc
        first = exc.errors(include_input=False, include_url=False)[0]
        said = first["msg"].removeprefix("Value error, ")
        raise BadIntent(
            f"The cassette {name} is wrong at {_place(first['loc'])}: {said}; correct it as docs/cassettes.md says."
        ) from exc


def _place(loc: tuple[int | str, ...]) -> str:
    """Where in the file, counted from 1 as a person does: "script 1, turn 2, tool 1, name"."""
    words: list[str] = []
    for part in loc:
        if isinstance(part, int) and words:
            words[-1] += f" {part + 1}"
        else:
            words.append(str(part))
    return ", ".join(words) or "the top"


def chosen(cassette: Cassette, request: Mapping[str, Any], attempt: int) -> tuple[str, Turn] | None:
    """The turn that answers a Messages API request, with a name that is its own; None if no script applies.

    Past a script's last turn the model has nothing more to say; a request without tools is not part of the work.
    """
    if not request.get("tools"):
        return "aside", Turn(text="Noted.")
    model = str(request.get("model", ""))
    config = request.get("output_config")
    effort = config.get("effort") if isinstance(config, dict) else None
    messages = request.get("messages")
    said = messages if isinstance(messages, list) else []
    index = sum(isinstance(one, dict) and one.get("role") == "assistant" for one in said)
    for number, script in enumerate(cassette.script):
        if script.applies(model, effort if isinstance(effort, str) else None, attempt):
            if index >= len(script.turn):
                return f"{number}.{index}", Turn(text="Done.")
            return f"{number}.{index}", _filled(script.turn[index], model, attempt)
    return None


def _filled(turn: Turn, model: str, attempt: int) -> Turn:
    if turn.verbatim:
        return turn
    values = dict(zip(PLACEHOLDERS, (CWD, str(attempt), model), strict=True))

    def fill(value: Any) -> Any:
        if isinstance(value, str):
            for placeholder, text in values.items():
                value = value.replace(placeholder, text)
            return value
        if isinstance(value, list):
            return [fill(one) for one in value]
        if isinstance(value, dict):
            return {key: fill(one) for key, one in value.items()}
        return value

    tools = [tool.model_copy(update={"input": fill(tool.input)}) for tool in turn.tool]
    error = turn.error and turn.error.model_copy(update={"message": fill(turn.error.message)})
    return turn.model_copy(update={"text": fill(turn.text), "tool": tools, "error": error})


def message(turn: Turn, name: str, model: str, attempt: int, request_bytes: int) -> dict[str, Any]:
    """The turn as the API's whole (non-streaming) answer."""
    mark = f"{attempt}_{name.replace('.', '_')}"
    content: list[dict[str, Any]] = [{"type": "text", "text": turn.text}] if turn.text or not turn.tool else []
    content += [
        {"type": "tool_use", "id": f"toolu_{mark}_{index}", "name": tool.name, "input": tool.input}
        for index, tool in enumerate(turn.tool)
    ]
    written = len(json.dumps(content))
    usage = turn.usage or ScriptedUsage(input_tokens=request_bytes // 4, output_tokens=max(1, written // 4))
    return {
        "id": f"msg_{mark}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": turn.stop_reason or ("tool_use" if turn.tool else "end_turn"),
        "stop_sequence": None,
        "usage": usage.model_dump(),
    }


def as_events(answer: Mapping[str, Any]) -> bytes:
    """The same answer as server-sent events."""
    start = {**answer, "content": [], "stop_reason": None, "usage": {**answer["usage"], "output_tokens": 1}}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": start}]
    for index, block in enumerate(answer["content"]):
        if block["type"] == "text":
            opened: dict[str, Any] = {"type": "text", "text": ""}
            deltas = [{"type": "text_delta", "text": piece} for piece in _pieces(block["text"])]
        else:
            opened = {**block, "input": {}}
            pieces = _pieces(json.dumps(block["input"]))
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
        events.append({"type": "content_block_start", "index": index, "content_block": opened})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    ended = {"stop_reason": answer["stop_reason"], "stop_sequence": None}
    events.append({"type": "message_delta", "delta": ended, "usage": answer["usage"]})
    events.append({"type": "message_stop"})
    return b"".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in events)


def _pieces(text: str, size: int = 400) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)] or [""]
