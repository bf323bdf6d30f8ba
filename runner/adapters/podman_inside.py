"""A look into a container that is up, for those who examine this host; no daemon at work has it."""

from __future__ import annotations

from podman import PodmanClient

from runner.adapters.podman_faults import FAULTS, short, translate
from runner.errors import SandboxFault


class PodmanInside:
    """Scripts in the containers of the podman service at `url`."""

    def __init__(self, url: str, *, timeout_s: float = 60.0) -> None:
        """Wait at most `timeout_s` for a script."""
        self._url = url
        self._timeout_s = timeout_s

    def __call__(self, name: str, script: str) -> str:
        """What the shell's script printed in that container. Raises SandboxFault where it failed, EngineDown."""
        try:
            with PodmanClient(base_url=self._url, timeout=self._timeout_s) as client:
                code, printed = client.containers.get(name).exec_run(["sh", "-c", script], demux=True)
        except FAULTS as fault:
            raise translate(fault) from fault
        said, complained = printed if isinstance(printed, tuple) else (printed, b"")
        if code != 0:
            told = short((complained or b"").decode("utf-8", "replace"))
            raise SandboxFault(f"A look into {name} failed (exit {code}); it said: {told}")
        return (said or b"").decode("utf-8", "replace")
