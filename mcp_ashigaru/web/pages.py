"""Pages for people: health, and a pull request of the local forge."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from mcp_ashigaru.talk_words import at, verb, where
from mcp_ashigaru.toolsets.asking import CALLER
from mcp_ashigaru.web.door import HEALTH
from runner.callers import Caller
from runner.errors import RunnerError
from runner.model import Check, Pull
from runner.talk import Said, Talk

# Everything on these pages is somebody's text: nothing is executed, loaded or framed.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<style>body{{font:16px/1.5 system-ui;margin:2rem auto;max-width:60rem;padding:0 1rem}}
pre{{background:#f6f6f4;padding:1rem;overflow:auto;font-size:.85rem;white-space:pre-wrap}}
.state,.said h3{{color:#555}}.said h3{{font-size:.9rem;font-weight:400;margin-bottom:.2rem}}.said pre{{margin-top:0}}
.thread{{margin-left:2rem}}.label{{background:#e8e6df;border-radius:1rem;padding:.1rem .7rem;margin-right:.4rem}}
td{{padding:.1rem 1.2rem .1rem 0;vertical-align:top}}.failed,.stalled{{color:#a11}}.passed{{color:#171}}
.diff{{white-space:pre}}</style></head>
<body><h1>{title}</h1><p class="state">{state}</p>{labels}<pre>{body}</pre>{checks}{said}
<h2>Diff</h2><pre class="diff">{diff}</pre></body></html>"""


@dataclass(frozen=True, kw_only=True)
class PullPages:
    """Where the pull request pages look things up."""

    pull: Callable[[str, int], Pull | None]
    diff: Callable[[str, int], str]
    talk: Callable[[str, int], Talk]
    sees: Callable[[Caller, str, int], bool]
    """Whether the pull request exists for the caller."""


def routes(pages: PullPages | None, trouble: Callable[[], str | None] = lambda: None) -> list[Route]:
    """Routes for /healthz and, with a local forge, its pull requests. trouble: why the daemon stands still, if it does.

    A daemon that stands still answers 503 and goes on by itself: to restart it would gain nothing.
    """

    async def healthz(_request: Request) -> Response:
        why = trouble()
        if why is not None:
            return JSONResponse({"status": "stands still", "reason": why}, 503)
        return JSONResponse({"status": "ok"})

    async def show(request: Request) -> Response:
        if pages is None:
            return PlainTextResponse("This daemon has no local forge.", 404)
        repo, number = request.path_params["repo"], request.path_params["number"]
        try:
            seen = await anyio.to_thread.run_sync(pages.sees, request.scope[CALLER], repo, number)
            pull = await anyio.to_thread.run_sync(pages.pull, repo, number) if seen else None
            if pull is None:
                return PlainTextResponse("No such pull request.", 404)
            diff = await anyio.to_thread.run_sync(pages.diff, repo, number)
            talk = await anyio.to_thread.run_sync(pages.talk, repo, number)
        except RunnerError as exc:
            return PlainTextResponse(str(exc), 404)
        return HTMLResponse(render(pull, diff, talk), headers=_HEADERS)

    return [
        Route(HEALTH, healthz, methods=["GET"]),
        Route("/forge/{repo:path}/pulls/{number:int}", show, methods=["GET"]),
    ]


def render(pull: Pull, diff: str, talk: Talk) -> str:
    """The page of a pull request; every word of it escaped."""
    state = f"{pull.repo} #{pull.number} · {pull.state}{' · draft' if pull.draft else ''} · {pull.head_branch} → "
    labels = "".join(f'<span class="label">{html.escape(label)}</span>' for label in talk.labels)
    checks = "".join(_check(check) for check in talk.checks)
    said = "".join(_said(one) for one in talk.said)
    return _PAGE.format(
        title=html.escape(pull.title),
        state=html.escape(f"{state}{pull.base_branch} · {pull.head_sha[:12]}"),
        labels=labels and f"<p>{labels}</p>",
        body=html.escape(pull.body),
        checks=checks and f"<h2>Checks</h2><table>{checks}</table>",
        said=said and f"<h2>Conversation</h2>{said}",
        diff=html.escape(diff),
    )


def _check(check: Check) -> str:
    cells = (check.name, check.source, check.summary)
    rest = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
    return f'<tr><td class="{check.state}">{check.state}</td>{rest}</tr>'


def _said(one: Said) -> str:
    remark = one.remark
    words = (f"{remark.author} {verb(remark.stance)}", at(remark), remark.id, where(remark))
    heading = html.escape(" · ".join(word for word in words if word))
    kind = "said thread" if one.answers is not None else "said"
    return f'<div class="{kind}"><h3>{heading}</h3><pre>{html.escape(remark.body)}</pre></div>'
