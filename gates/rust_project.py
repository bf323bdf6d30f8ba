"""What a Rust package's or workspace's files say of its tests and of what they need. Pure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any, Final

from gates.ecosystem import ENV, OUT, TIMEOUT_S, Found, Gate, Read
from gates.test_runners import TestRunner

RUST_MANIFESTS: Final = (
    "Cargo.toml",
    "Cargo.lock",
    "*/Cargo.toml",
    "*/*/Cargo.toml",
    "rust-toolchain",
    "rust-toolchain.toml",
    ".cargo/*",
)
"""Patterns of the files that say what a Rust package needs."""

_REPORT: Final = "cargo-test.txt"
_HOME: Final = f"{ENV}/cargo"
_WORK: Final = "/tmp/cargo"  # noqa: S108 - inside the sandbox
_CONFIGURATION: Final = (".cargo/config.toml", ".cargo/config")
_NEEDS: Final = ("dependencies", "dev-dependencies", "build-dependencies")
_TEST: Final = re.compile(rb"#\[(?:[\w:]+::)?test\b|^\s*//[/!]\s*```", re.MULTILINE)
_MAX_BYTES: Final = 1024 * 1024
_MAX_FILES: Final = 100
_ENVIRONMENT: Final = (
    ("CARGO_INCREMENTAL", "0"),
    ("CARGO_TERM_COLOR", "never"),
)
# What is built goes to the disk, for /tmp is memory, and beside the tree, which could bring some along.
# Cargo locks and marks its home, so it gets one that it may write to; what was set up is linked into it and only read.
_LINKED: Final = f"""\
export CARGO_HOME={_WORK} CARGO_NET_OFFLINE=true CARGO_TARGET_DIR={OUT}/target
mkdir -p "$CARGO_HOME"
for one in {_HOME}/registry {_HOME}/git; do
  if [ -d "$one" ]; then ln -sfn "$one" "$CARGO_HOME/"; fi
done"""


def rust_project(paths: Sequence[str], read: Read) -> Found | None:
    """The package or workspace of the Cargo.toml at the top; None where there is none that can be read."""
    told = _manifest("Cargo.toml", read) if "Cargo.toml" in paths else None
    if told is None:
        return None
    # All members, unless the manifest itself says which are meant.
    scope = "" if "default-members" in _table(told.get("workspace")) else " --workspace"
    # No pipe: the status is cargo's own. Errors stand in the report too, where cargo says which program it is about.
    run = f"""\
{_LINKED}
cargo test --offline --no-fail-fast{scope} >{OUT}/{_REPORT} 2>&1
status=$?
tail -c 200000 {OUT}/{_REPORT}
exit $status"""
    gate = Gate(name="test", run=run, junit=_REPORT, timeout_s=TIMEOUT_S, runner=TestRunner.CARGO)
    needs = _needs(told, paths, read) and not _is_vendored(paths, read)
    locked = " --locked" if "Cargo.lock" in paths else ""
    return Found(
        gate=gate if _has_tests(paths, read) else None,
        setup=(f"CARGO_HOME={_HOME} cargo fetch{locked}",) if needs else (),
        manifests=RUST_MANIFESTS if needs else (),
        environment=_ENVIRONMENT,
    )


def _needs(told: dict[str, Any], paths: Sequence[str], read: Read) -> bool:
    """Whether the package, or any of the first members of its workspace, names a dependency that is not beside it."""
    members = [path for path in sorted(paths) if path.endswith("/Cargo.toml")][:_MAX_FILES]
    manifests = [told, *(one for path in members if (one := _manifest(path, read)) is not None)]
    return any(_is_elsewhere(one) for manifest in manifests for one in _dependencies(manifest))


def _dependencies(manifest: dict[str, Any]) -> Iterator[object]:
    targets = _table(manifest.get("target")).values()
    for where in (manifest, _table(manifest.get("workspace")), *map(_table, targets)):
        for kind in _NEEDS:
            yield from _table(where.get(kind)).values()


def _is_elsewhere(dependency: object) -> bool:
    return not isinstance(dependency, dict) or not ("path" in dependency or dependency.get("workspace") is True)


def _is_vendored(paths: Sequence[str], read: Read) -> bool:
    """Whether the tree says where the sources are that it brings along."""
    told = next((_manifest(path, read) for path in _CONFIGURATION if path in paths), None) or {}
    return any("directory" in _table(one) for one in _table(told.get("source")).values())


def _has_tests(paths: Sequence[str], read: Read) -> bool:
    sources = [path for path in sorted(paths) if path.endswith(".rs")]
    if any(re.fullmatch(r"(?:.*/)?tests/[^/]+(?:/main)?\.rs", path) for path in sources):
        return True
    first = sorted(sources, key=lambda path: (path.rsplit("/", 1)[-1] not in {"lib.rs", "main.rs"}, path))[:_MAX_FILES]
    # Not all of a large project's files are looked at: it has tests, until it turns out that none ran.
    return len(sources) > _MAX_FILES or any(_TEST.search((read(path) or b"")[:_MAX_BYTES]) for path in first)


def _manifest(path: str, read: Read) -> dict[str, Any] | None:
    data = read(path)
    if data is None or len(data) > _MAX_BYTES:
        return None
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        return None


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
