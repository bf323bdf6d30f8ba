"""What the images are made of, and the key that says whether one is still the same. Reads files, builds nothing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = "localhost/ashigaru"
REGISTRY_ROOT = "docker.io/library/debian:bookworm-slim"
PLAIN_PACKAGES = ("ca-certificates", "python3")
GATE_PACKAGES = (*PLAIN_PACKAGES, "git", "make", "python3-pip", "python3-pytest", "python3-venv")

BUILD_OPTIONS = ("--quiet", "--pull=never", "--identity-label=false")
"""No label of the builder's: containers inherit an image's labels, and ours shall be the only ones."""

CLAUDE_VERSION = "2.1.329"
CLAUDE_SHA256 = "30e2724e2aecb1bf5dc9f3130901afb71c5fa229051c190a6d7ad9aff6378d6d"


@dataclass(frozen=True, kw_only=True)
class RootRecipe:
    """A root file system: a Debian with these packages."""

    name: str
    packages: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ImageRecipe:
    """An image on a root: its Containerfile, the files it copies in, and a command that proves that it works."""

    name: str
    root: RootRecipe
    containerfile: Path
    copies: tuple[Path, ...]
    carries_claude: bool
    proof: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ImageSet:
    """References of the images of this version, each `localhost/ashigaru/<name>:<key>`."""

    base: str
    agent: str
    relay: str
    gate: str


PLAIN_ROOT = RootRecipe(name="base", packages=PLAIN_PACKAGES)
GATE_ROOT = RootRecipe(name="gate-base", packages=GATE_PACKAGES)


def recipes(package: Path) -> tuple[ImageRecipe, ...]:
    """The three images, from the files of the `runner` package in that directory."""
    images = package / "images"
    return (
        ImageRecipe(
            name="agent",
            root=PLAIN_ROOT,
            containerfile=images / "agent" / "Containerfile",
            copies=(images / "agent" / "entrypoint.py", images / "agent" / "filetools.py"),
            carries_claude=True,
            proof=("/usr/local/bin/claude", "--version"),
        ),
        ImageRecipe(
            name="relay",
            root=PLAIN_ROOT,
            containerfile=images / "relay" / "Containerfile",
            copies=(package / "gateway" / "relay.py",),
            carries_claude=False,
            proof=("/usr/bin/python3", "-I", "-c", "import asyncio, http"),
        ),
        ImageRecipe(
            name="gate",
            root=GATE_ROOT,
            containerfile=images / "gate" / "Containerfile",
            copies=(),
            carries_claude=False,
            proof=("/usr/bin/python3", "-I", "-c", "import pytest, venv, ensurepip"),
        ),
    )


def root_reference(recipe: RootRecipe, package: Path) -> str:
    """Reference of a root; changes with its packages and its Containerfile."""
    options = " ".join(BUILD_OPTIONS).encode()
    parts = (recipe.name.encode(), options, " ".join(recipe.packages).encode(), REGISTRY_ROOT.encode())
    return f"{REPOSITORY}/{recipe.name}:{_key(*parts, (package / 'images' / 'root' / 'Containerfile').read_bytes())}"


def image_reference(recipe: ImageRecipe, package: Path) -> str:
    """Reference of an image; changes with its root, its Containerfile, the copied files and Claude Code's digest."""
    contents = [path.name.encode() + b"\0" + path.read_bytes() for path in recipe.copies]
    claude = CLAUDE_SHA256.encode() if recipe.carries_claude else b""
    root = root_reference(recipe.root, package).encode()
    return f"{REPOSITORY}/{recipe.name}:{_key(root, recipe.containerfile.read_bytes(), *contents, claude)}"


def latest(reference: str) -> str:
    """The stable tag that the settings name by default."""
    return reference.rpartition(":")[0] + ":latest"


def _key(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:12]
