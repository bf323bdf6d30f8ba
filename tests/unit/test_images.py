"""Building the images, with a podman that keeps tags in a folder."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from runner.errors import SandboxFault
from runner.images import claude, debian
from runner.images.build import ensure_images
from runner.images.npm_archive import Archive, have_archive, unpack
from runner.images.recipe import PLAIN_ROOT, image_reference, latest, recipes, root_reference

PODMAN = """#!{python}
import json, sys
from pathlib import Path
store, log = Path({store!r}), Path({log!r})
arguments = sys.argv[1:]
with log.open("a", encoding="utf-8") as lines:
    lines.write(" ".join(arguments) + "\\n")
def tag(name):
    (store / name.replace("/", "+")).touch()
match arguments:
    case ["image", "exists", name]:
        sys.exit(0 if (store / name.replace("/", "+")).exists() else 1)
    case ["manifest", *_] | ["pull", *_]:
        sys.exit({registry})
    case ["import", *_, name] | ["tag", _, name]:
        tag(name)
    case ["build", *options]:
        context = Path(options[-1])
        for option in options:
            if option.startswith("--tag="):
                tag(option.removeprefix("--tag="))
        with log.open("a", encoding="utf-8") as lines:
            lines.write("context " + " ".join(sorted(path.name for path in context.iterdir())) + "\\n")
    case ["images", *_]:
        print(json.dumps([
            {{"Names": [path.name.replace("+", "/")], "Created": int(path.stat().st_mtime)}} for path in store.iterdir()
        ]))
    case ["rmi", name]:
        (store / name.replace("/", "+")).unlink()
    case ["run", *_]:
        if {broken}:
            sys.exit("Error: crun: cgroups in hybrid mode not supported")
"""


DIGEST = hashlib.sha256(b"a claude").hexdigest()


def _bundle(path: Path, files: Mapping[str, bytes]) -> Path:
    """An archive of these files, those in a bin/ to be run."""
    with tarfile.open(path, "w:gz") as bundle:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o755 if "/bin/" in name else 0o644
            bundle.addfile(entry, io.BytesIO(content))
    return path


class Workshop:
    """A fake podman and mmdebstrap on a PATH, and a cache that holds a Claude Code of its own digest."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.store, self.log = folder / "bin", folder / "store", folder / "log"
        self.state, self.cache = folder / "state", folder / "cache"
        for made in (self.bin, self.store, self.cache):
            made.mkdir()
        self.said: list[str] = []
        self.equip()
        self._script(
            "mmdebstrap",
            f"#!{sys.executable}\nimport sys\nfrom pathlib import Path\n"
            "Path(next(a for a in sys.argv if a.endswith('.tar'))).touch()\n",
        )

    def equip(self, *, registry: bool = False, broken: bool = False) -> None:
        text = PODMAN.format(
            python=sys.executable,
            store=str(self.store),
            log=str(self.log),
            registry=0 if registry else 1,
            broken=broken,
        )
        self._script("podman", text)

    def ensure(self) -> Sequence[str]:
        made = ensure_images(
            (str(self.bin / "podman"),),
            self.state,
            self.said.append,
            cache_dir=self.cache,
            claude_sha256=DIGEST,
            fetched=lambda cache, archive: _bundle(
                cache / archive.file_name, {"package/bin/node": b"a node", "package/bin/just": b"a just"}
            ),
        )
        return (made.agent, made.relay, made.gate)

    def asked(self, verb: str) -> list[str]:
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return [line for line in lines if line.startswith(verb + " ")]

    def _script(self, name: str, text: str) -> None:
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    made = Workshop(tmp_path)
    monkeypatch.setenv("PATH", str(made.bin))
    binary = claude.cached_claude(made.cache)
    binary.write_bytes(b"a claude")
    return made


def test_without_a_registry_the_roots_come_from_packages_and_each_image_is_proved(workshop: Workshop) -> None:
    references = workshop.ensure()
    assert len(workshop.asked("import")) == 2
    assert len(workshop.asked("run")) == 3
    assert all("--userns=keep-id" in line and "--network=none" in line for line in workshop.asked("run"))
    assert all("--network=none" in line for line in workshop.asked("build"))
    assert "context claude entrypoint.py filetools.py" in workshop.asked("context")
    assert "context just node npm npm-run pnpm yarn-berry yarn-classic" in workshop.asked("context")
    for reference in references:
        assert (workshop.store / latest(reference).replace("/", "+")).exists()


def test_a_second_call_builds_nothing_and_says_so(workshop: Workshop) -> None:
    first = workshop.ensure()
    workshop.log.unlink()
    workshop.said.clear()
    assert workshop.ensure() == first
    assert workshop.said == ["already there"]
    assert workshop.asked("build") + workshop.asked("import") + workshop.asked("run") == []


def test_a_registry_that_answers_saves_the_packages(workshop: Workshop) -> None:
    workshop.equip(registry=True)
    workshop.ensure()
    assert workshop.asked("import") == []
    assert sum("--build-arg=PACKAGES=" in line for line in workshop.asked("build")) == 2


def test_images_that_do_not_run_here_are_a_fault_in_podmans_words(workshop: Workshop) -> None:
    workshop.equip(broken=True)
    with pytest.raises(SandboxFault) as caught:
        workshop.ensure()
    assert "cgroups in hybrid mode" in str(caught.value)


def test_images_of_long_ago_are_forgotten_and_nothing_else(workshop: Workshop) -> None:
    old, recent, foreign = (
        workshop.store / name
        for name in (
            "localhost+ashigaru+agent:0123456789ab",
            "localhost+ashigaru+agent:ba9876543210",
            "localhost+somebody+else:1",
        )
    )
    for path in (old, recent, foreign):
        path.touch()
    for path in (old, foreign):
        os.utime(path, (1_000_000, 1_000_000))
    workshop.ensure()
    assert [path.exists() for path in (old, recent, foreign)] == [False, True, True]
    assert len(list(workshop.store.iterdir())) == 2 + 2 + 6


def _package(folder: Path) -> Path:
    package = folder / "runner"
    for name in ("images/root", "images/agent", "images/relay", "images/gate", "gateway"):
        (package / name).mkdir(parents=True)
    for name in ("images/root", "images/agent", "images/relay", "images/gate"):
        (package / name / "Containerfile").write_text("FROM x\n", encoding="utf-8")
    for name in ("images/agent/entrypoint.py", "images/agent/filetools.py", "images/gate/npm-run", "gateway/relay.py"):
        (package / name).write_text("pass\n", encoding="utf-8")
    return package


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ("images/agent/entrypoint.py", {"agent"}),
        ("images/agent/filetools.py", {"agent"}),
        ("gateway/relay.py", {"relay"}),
        ("images/gate/Containerfile", {"gate"}),
        ("images/gate/npm-run", {"gate"}),
        ("images/root/Containerfile", {"agent", "relay", "gate"}),
    ],
)
def test_a_change_renames_exactly_the_images_that_it_is_in(tmp_path: Path, changed: str, names: set[str]) -> None:
    package = _package(tmp_path)
    before = {recipe.name: image_reference(recipe, package) for recipe in recipes(package)}
    (package / changed).write_text("pass  # otherwise\n", encoding="utf-8")
    after = {recipe.name: image_reference(recipe, package) for recipe in recipes(package)}
    assert {name for name in before if before[name] != after[name]} == names


def test_a_new_package_renames_the_root(tmp_path: Path) -> None:
    package = _package(tmp_path)
    more = replace(PLAIN_ROOT, packages=(*PLAIN_ROOT.packages, "less"))
    assert root_reference(PLAIN_ROOT, package) != root_reference(more, package)


def _npm(folder: Path, content: bytes, name: str = "package/claude") -> Path:
    archive = _bundle(folder / "served.tgz", {name: content})
    folder.joinpath("npm").write_text(f"#!/bin/sh\n{shutil.which('cp')} '{archive}' ./claude.tgz\n", encoding="utf-8")
    folder.joinpath("npm").chmod(0o755)
    return archive


def _pinned(archive: Path) -> Archive:
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    return Archive(package="a-tool", version="1.0.0", sha256=digest, place="tool")


def test_an_archive_is_fetched_once_verified_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = _pinned(_npm(tmp_path, b"a tool", "package/bin/tool"))
    monkeypatch.setenv("PATH", str(tmp_path))
    kept = have_archive(tmp_path / "cache", pinned)
    (tmp_path / "npm").unlink()
    assert have_archive(tmp_path / "cache", pinned) == kept
    assert list((tmp_path / "cache").iterdir()) == [kept]


def test_another_archive_than_the_pinned_one_is_refused_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned = replace(_pinned(_npm(tmp_path, b"a trojan")), sha256="0" * 64)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxFault):
        have_archive(tmp_path / "cache", pinned)
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_archive_that_was_changed_in_the_cache_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = _pinned(_bundle(tmp_path / "served.tgz", {"package/a": b""}))
    changed = tmp_path / pinned.file_name
    changed.write_bytes(b"changed")
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(SandboxFault) as caught:
        have_archive(tmp_path, pinned)
    assert "npm" in str(caught.value)
    assert not changed.exists()


def test_an_archive_is_unpacked_with_its_programs_runnable_and_nothing_outside(tmp_path: Path) -> None:
    files = {"package/bin/tool": b"a tool", "package/index.js": b"0", "package/../../outside": b"x", "/outside": b"x"}
    archive = _bundle(tmp_path / "a.tgz", files)
    unpack(archive, tmp_path / "all")
    unpack(archive, tmp_path / "one", "package/index.js")
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {"a.tgz", "all/package/bin/tool", "all/package/index.js", "one/package/index.js"}
    assert (tmp_path / "all/package/bin/tool").stat().st_mode & 0o111
    assert not (tmp_path / "all/package/index.js").stat().st_mode & 0o111


def test_an_archive_that_cannot_be_read_is_a_fault_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "a.tgz").write_bytes(b"no archive")
    with pytest.raises(SandboxFault):
        unpack(tmp_path / "a.tgz", tmp_path / "all")


def test_claude_code_is_fetched_once_verified_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _npm(tmp_path, b"a binary")
    monkeypatch.setenv("PATH", str(tmp_path))
    digest = hashlib.sha256(b"a binary").hexdigest()
    kept = claude.have_claude(tmp_path / "cache", digest, "x86_64")
    (tmp_path / "npm").unlink()
    assert claude.have_claude(tmp_path / "cache", digest, "x86_64") == kept
    assert (kept.read_bytes(), kept.stat().st_mode & 0o777) == (b"a binary", 0o755)
    assert list((tmp_path / "cache").iterdir()) == [kept]


def test_another_binary_than_the_pinned_one_is_refused_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _npm(tmp_path, b"a trojan")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxFault):
        claude.have_claude(tmp_path / "cache", machine="x86_64")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_binary_that_was_changed_in_the_cache_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claude.cached_claude(tmp_path).write_bytes(b"changed")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxFault):
        claude.have_claude(tmp_path)
    assert not claude.cached_claude(tmp_path).exists()


def test_a_debian_host_lends_its_own_suite_and_sources(tmp_path: Path) -> None:
    sources = tmp_path / "etc/apt/sources.list.d/debian.sources"
    sources.parent.mkdir(parents=True)
    sources.write_text("Suites: trixie trixie-updates\n", encoding="utf-8")
    release = {"ID": "debian", "VERSION_CODENAME": "trixie"}
    assert debian.suite_and_sources(release, tmp_path) == ("trixie", (str(sources),))


def test_a_host_of_another_family_gets_the_default_suite(tmp_path: Path) -> None:
    assert debian.suite_and_sources({"ID": "fedora"}, tmp_path) == (debian.DEFAULT_SUITE, ())


def test_a_machine_that_the_pinned_binary_is_not_for_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(SandboxFault) as caught:
        claude.have_claude(tmp_path, machine="riscv64")
    assert "riscv64" in str(caught.value)
