"""From the work_ticket call to the first request of the real agent to its model."""

from __future__ import annotations

import json
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from tests.bench.house import BenchFailed, House

_WRITE: Final = {
    "type": "tool_use",
    "id": "toolu_1",
    "name": "Write",
    "input": {"file_path": "/workspace/bench.txt", "content": ""},
}
_DONE: Final = {"type": "text", "text": "Done."}


class ScriptedModel(ThreadingHTTPServer):
    """A Messages API that has the agent write one file; it remembers when it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.asked: list[float] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ScriptedModel

    def do_POST(self) -> None:
        self.server.asked.append(time.time())
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        written = any("tool_result" in json.dumps(message["content"]) for message in request["messages"])
        block: dict[str, Any] = _DONE if written else json.loads(json.dumps(_WRITE))
        if not written:
            block["input"]["content"] = f"{time.time()}\n"
        body = "".join(_events(block, "end_turn" if written else "tool_use", request["model"])).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def _events(block: dict[str, Any], stop: str, model: str) -> Iterator[str]:
    usage = {"input_tokens": 10, "output_tokens": 10}
    begun = {**block, **({"input": {}} if "input" in block else {"text": ""})}
    grown = (
        {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        if "input" in block
        else {"type": "text_delta", "text": block["text"]}
    )
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    for told in (
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": begun},
        {"type": "content_block_delta", "index": 0, "delta": grown},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}, "usage": usage},
        {"type": "message_stop"},
    ):
        yield f"event: {told['type']}\ndata: {json.dumps(told)}\n\n"


@contextmanager
def scripted_model() -> Iterator[ScriptedModel]:
    """The model, up until the block ends."""
    with ScriptedModel() as model:
        threading.Thread(target=model.serve_forever, daemon=True).start()
        try:
            yield model
        finally:
            model.shutdown()


def dispatches(house: House, model: ScriptedModel, repo: str, runs: int) -> list[float]:
    """Seconds from each work_ticket call to the agent's first request; a first, cold one is left out."""
    took = []
    for number in range(runs + 1):
        model.asked.clear()
        called, _, seen = house.work(repo, 5_000 + number, "Write the file.")
        if seen["phase"] != "awaiting_review" or not model.asked:
            raise BenchFailed(f"the agent's ticket ended as {seen}\n{house.log()}")
        took.append(model.asked[0] - called)
    return took[1:]


def median(of: list[float]) -> float:
    """Seconds."""
    return statistics.median(of)
