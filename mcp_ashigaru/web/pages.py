"""Pages for people: health, and a pull request of the local forge."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from runner.errors import RunnerError
from runner.model import Pull

# Everything on these pages is somebody's text: nothing is executed, loaded or framed.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<style>body{{font:16px/1.5 system-ui;margin:2rem auto;max-width:60rem;padding:0 1rem}}
pre{{background:#f6f6f4;padding:1rem;overflow:auto;font-size:.85rem}}.state{{color:#555}}</style></head>
<body><h1>{title}</h1><p class="state">{state}</p><pre>{body}</pre><h2>Diff</h2><pre>{diff}</pre></body></html>"""


@dataclass(frozen=True, kw_only=True)
class PullPages:
    """Where the pull request pages look things up."""

    pull: Callable[[str, int], Pull | None]
    diff: Callable[[str, int], str]


def routes(pages: PullPages | None) -> list[Route]:
    """Routes for /healthz and, with a local forge, its pull requests."""

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def show(request: Request) -> Response:
        if pages is None:
            return PlainTextResponse("This daemon has no local forge.", 404)
        repo, number = request.path_params["repo"], request.path_params["number"]
        try:
            pull = await anyio.to_thread.run_sync(pages.pull, repo, number)
            diff = "" if pull is None else await anyio.to_thread.run_sync(pages.diff, repo, number)
        except RunnerError as exc:
            return PlainTextResponse(str(exc), 404)
        if pull is None:
            return PlainTextResponse("No such pull request.", 404)
        return HTMLResponse(render(pull, diff), headers=_HEADERS)

    return [
        Route("/healthz", healthz, methods=["GET"]),
        Route("/forge/{repo:path}/pulls/{number:int}", show, methods=["GET"]),
    ]


def render(pull: Pull, diff: str) -> str:
    """The page of a pull request; every word of it escaped."""
    state = f"{pull.repo} #{pull.number} · {pull.state}{' · draft' if pull.draft else ''} · {pull.head_branch} → "
    return _PAGE.format(
        title=html.escape(pull.title),
        state=html.escape(f"{state}{pull.base_branch} · {pull.head_sha[:12]}"),
        body=html.escape(pull.body),
        diff=html.escape(diff),
    )
