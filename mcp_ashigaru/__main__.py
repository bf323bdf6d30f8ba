"""`python -m mcp_ashigaru`: the daemon."""

from __future__ import annotations

from mcp_ashigaru.cli import serve_main

if __name__ == "__main__":
    serve_main()
