#!/usr/bin/env python3
"""Prepares podman and the images; with `--tests -- command`, runs the command with podman's API up.

Where podman cannot run, the tests are run without it and told why, unless ASHIGARU_REQUIRE_PODMAN=1.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from runner.adapters.podman_home import prepare_podman
from runner.adapters.podman_service import PodmanService
from runner.errors import RunnerError
from runner.images.build import ensure_images
from runner.images.recipe import ImageSet


def _say(text: str) -> None:
    print(f"set-up  {'images':<12} {text}", flush=True)  # noqa: T201 - a command line's output


def _complain(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - a command line's output


def _images(podman_dir: Path) -> ImageSet:
    return ensure_images(prepare_podman(podman_dir).argv, podman_dir, _say)


def _told(images: ImageSet, url: str) -> dict[str, str]:
    return {
        "ASHIGARU_TEST_PODMAN_URL": url,
        "ASHIGARU_TEST_AGENT_IMAGE": images.agent,
        "ASHIGARU_TEST_RELAY_IMAGE": images.relay,
        "ASHIGARU_TEST_GATE_IMAGE": images.gate,
    }


def _run(command: list[str], extra: dict[str, str]) -> int:
    """The command's exit code. An interrupt reaches it too, and is waited out."""
    with subprocess.Popen(command, env={**os.environ, **extra}) as process:
        while True:
            try:
                code = process.wait()
            except KeyboardInterrupt:
                continue
            return code if code >= 0 else 128 - code


def _tests(podman_dir: Path, command: list[str]) -> int:
    try:
        images = _images(podman_dir)
        with PodmanService(podman_dir) as service:
            return _run(command, _told(images, service.url))
    except RunnerError as fault:
        if os.environ.get("ASHIGARU_REQUIRE_PODMAN") == "1":
            _complain(f"podman is required and cannot be used: {fault}")
            return 1
        _complain(f"tests on real podman are skipped: {fault}")
        return _run(command, {"ASHIGARU_TEST_PODMAN_REASON": str(fault)})


def main() -> int:
    """0, or the command's exit code, or 1 with one sentence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--podman-dir", type=Path, required=True)
    parser.add_argument("--tests", action="store_true")
    parser.add_argument("command", nargs="*")
    asked = parser.parse_args()
    if asked.tests:
        return _tests(asked.podman_dir, asked.command)
    try:
        _images(asked.podman_dir)
    except RunnerError as fault:
        _complain(f"set-up failed: {fault}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
