"""What a Node repository's files say of its tests and of what they need. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from gates.ecosystem import ENV, WORKSPACE, Found, Read
from gates.node_runner import script_gate, test_script

MANIFEST: Final = "package.json"
TREE: Final = f"{ENV}/tree"
"""Where the set-up keeps every node_modules directory, at the path that it has in the workspace."""

NODE_MANIFESTS: Final = (
    "package.json",
    "*/package.json",
    "*/*/package.json",
    "package-lock.json",
    "npm-shrinkwrap.json",
    "pnpm-lock.yaml",
    "pnpm-workspace.yaml",
    "yarn.lock",
    ".npmrc",
    ".yarnrc",
    ".yarnrc.yml",
    "patches/*",
)
"""Patterns of the files that say what a Node project needs."""

_MAX_BYTES: Final = 1024 * 1024
_NEEDS: Final = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies", "workspaces")
_NAMED: Final = re.compile(r"(?P<name>npm|pnpm|yarn)@(?P<major>\d{1,4})(?:\.|$)")
_SCRATCH: Final = f"{ENV}/scratch"


class Installer(StrEnum):
    """Who installs a repository's packages."""

    NPM = "npm"
    PNPM = "pnpm"
    YARN = "yarn"
    YARN_BERRY = "yarn-berry"


# Frozen where there is a lock file: what is installed is what the lock file says, or the set-up fails.
_FROZEN: Final[Mapping[Installer, str]] = {
    Installer.NPM: "npm ci",
    Installer.PNPM: "pnpm install --frozen-lockfile",
    Installer.YARN: "yarn install --frozen-lockfile --non-interactive",
    Installer.YARN_BERRY: "yarn install --immutable",
}
_LOOSE: Final[Mapping[Installer, str]] = {
    Installer.NPM: "npm install --no-package-lock",
    Installer.PNPM: "pnpm install --no-lockfile",
    Installer.YARN: "yarn install --no-lockfile --non-interactive",
    Installer.YARN_BERRY: "yarn install --no-immutable",
}
_LOCKS: Final[Mapping[str, Installer]] = {
    "npm-shrinkwrap.json": Installer.NPM,
    "package-lock.json": Installer.NPM,
    "pnpm-lock.yaml": Installer.PNPM,
    "yarn.lock": Installer.YARN,
}

_ENVIRONMENT: Final = (
    ("CI", "true"),
    ("HUSKY", "0"),
    ("YARN_ENABLE_TELEMETRY", "0"),
    ("YARN_NODE_LINKER", "node-modules"),
    ("npm_config_audit", "false"),
    ("npm_config_fund", "false"),
    ("npm_config_update_notifier", "false"),
)
# The image's pnpm, not one that it would fetch because `packageManager` names another version.
_FOR_PNPM: Final = ("npm_config_manage_package_manager_versions", "false")

# Caches lie where the set-up may write without a bound of memory. Yarn's second generation reads none of the variables
# that all others read for the proxy, the certificates and the registry.
_BEFORE: Final = f"""\
mkdir -p {_SCRATCH} && find . -mindepth 2 -name node_modules -type d >{_SCRATCH}/before
export npm_config_cache={_SCRATCH}/npm npm_config_store_dir={_SCRATCH}/pnpm
export YARN_CACHE_FOLDER={_SCRATCH}/yarn YARN_ENABLE_GLOBAL_CACHE=false YARN_GLOBAL_FOLDER={_SCRATCH}/berry
if [ -n "$HTTPS_PROXY" ]; then export YARN_HTTP_PROXY="$HTTPS_PROXY" YARN_HTTPS_PROXY="$HTTPS_PROXY"; fi
if [ -n "$NODE_EXTRA_CA_CERTS" ]; then export YARN_HTTPS_CA_FILE_PATH="$NODE_EXTRA_CA_CERTS"; fi
if [ -n "$npm_config_registry" ]; then export YARN_NPM_REGISTRY_SERVER="$npm_config_registry"; fi
"""

# A link that leads out of node_modules is one to a package of this very repository: absolute, it leads to the judged
# tree's. All others stay as they are, and hold because every directory keeps its place among the others. What was there
# before the packages were, below the top, is somebody's test data: it stays the judged tree's.
_KEEP: Final = f"""\
find . -name node_modules -prune -type d -exec sh -c '
  for here do
    if grep -Fqx "$here" {_SCRATCH}/before; then continue; fi
    find "$here" -maxdepth 4 -type l | while IFS= read -r link; do
      to=$(readlink -f "$link") || continue
      case $to in
        */node_modules/*) ;;
        {WORKSPACE}/*) ln -sfn "$to" "$link" || exit 1 ;;
      esac
    done || exit 1
    mkdir -p "{TREE}/${{here%/*}}" && cp -a "$here" "{TREE}/${{here%/*}}/" || exit 1
  done' sh {{}} + && rm -rf {_SCRATCH}"""

LINKS: Final = f"""\
if [ -d {TREE} ]; then
  (cd {TREE} && find . -name node_modules -prune -type d) | while IFS= read -r here; do
    if [ -d "${{here%/*}}" ]; then
      rm -rf "$here" && mkdir "$here" && find "{TREE}/$here" -mindepth 1 -maxdepth 1 \\
        -exec sh -c 'into=$1; shift; ln -s "$@" "$into/"' sh "$here" {{}} +
    fi
  done
  export PATH="{WORKSPACE}/node_modules/.bin:$PATH"
fi"""
"""What a gate's script does in its copy of the tree, before anything else: each node_modules is a directory that can be
written to, and its entries are links to what was set up, which cannot. One that the tree brings along is not used."""


def node_project(paths: Sequence[str], read: Read) -> Found | None:
    """What the package.json at the top shows; None where there is none that can be read."""
    told = _package(read(MANIFEST)) if MANIFEST in paths else None
    if told is None:
        return None
    written = told.get("scripts")
    scripts = {name: one for name, one in written.items() if isinstance(one, str)} if isinstance(written, dict) else {}
    gate = None if test_script(scripts) is None else script_gate(scripts, "test")
    if not (any(told.get(one) for one in _NEEDS) or "pnpm-workspace.yaml" in paths):
        return Found(gate=gate, environment=_ENVIRONMENT)
    command = install_command(told.get("packageManager"), paths, read)
    return Found(
        gate=gate,
        setup=(f"{_BEFORE}{command}", _KEEP),
        manifests=NODE_MANIFESTS,
        environment=(*_ENVIRONMENT, _FOR_PNPM) if command.startswith("pnpm") else _ENVIRONMENT,
    )


def install_command(named: object, paths: Sequence[str], read: Read) -> str:
    """How the packages are installed. named: what package.json says as `packageManager`, which beats the lock files."""
    lock, installer = next(((one, who) for one, who in _LOCKS.items() if one in paths), (None, Installer.NPM))
    said = _NAMED.match(named) if isinstance(named, str) else None
    if said is not None and said["name"] != installer.value:
        installer = Installer(said["name"])
        lock = next((one for one, who in _LOCKS.items() if one in paths and who is installer), None)
    if installer is Installer.YARN and _is_berry(said["major"] if said else None, lock, read):
        installer = Installer.YARN_BERRY
    return (_LOOSE if lock is None else _FROZEN)[installer]


def _is_berry(major: str | None, lock: str | None, read: Read) -> bool:
    """Whether this is Yarn's second generation or later; its lock file says so too."""
    if lock is not None:
        return b"\n__metadata:" in b"\n" + (read(lock) or b"")[:4096]
    return major is not None and int(major) > 1


def _package(data: bytes | None) -> dict[str, Any] | None:
    if data is None or len(data) > _MAX_BYTES:
        return None
    try:
        told = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None
