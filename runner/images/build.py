"""Builds the sandboxes' images once, and finds them again by the content they were built from."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from runner.errors import SandboxFault
from runner.images import debian
from runner.images.claude import have_claude, place
from runner.images.npm_archive import Archive, have_archive, unpack
from runner.images.recipe import (
    BUILD_OPTIONS,
    CLAUDE_SHA256,
    GATE_ROOT,
    PLAIN_ROOT,
    REGISTRY_ROOT,
    REPOSITORY,
    ImageRecipe,
    ImageSet,
    RootRecipe,
    image_reference,
    latest,
    recipes,
    root_reference,
)

RUNNER = Path(__file__).resolve().parent.parent
REGISTRY_PROBE_S = 8.0
PULL_S = 180.0
BUILD_S = 600.0
PODMAN_S = 60.0
LOCK_S = 1800.0
MAX_OLD_IMAGES = 50
KEPT_S = 7 * 86_400

Progress = Callable[[str], None]


def ensure_images(
    podman_argv: Sequence[str],
    state_dir: Path,
    progress: Progress,
    *,
    cache_dir: Path | None = None,
    claude_sha256: str = CLAUDE_SHA256,
    fetched: Callable[[Path, Archive], Path] = have_archive,
) -> ImageSet:
    """The images of this version, built if they are not in podman's storage yet.

    Each is tagged with its content's key and `latest`; a later call finds them by key. Two callers at once build only
    once. Raises SandboxFault, one sentence with the cure.
    """
    bench = _Bench(podman=tuple(podman_argv), state_dir=state_dir, progress=progress)
    wanted = {recipe.name: image_reference(recipe, RUNNER) for recipe in recipes(RUNNER)}
    references = ImageSet(base=root_reference(PLAIN_ROOT, RUNNER), **wanted)
    cache = cache_dir or default_cache()
    state_dir.mkdir(parents=True, exist_ok=True)
    with _alone(state_dir / "images.lock", progress):
        lacking = [recipe for recipe in recipes(RUNNER) if not bench.has(wanted[recipe.name])]
        if not lacking:
            progress("already there")
        for root in (PLAIN_ROOT, GATE_ROOT):
            if any(recipe.root == root for recipe in lacking):
                bench.have_root(root)
        for recipe in lacking:
            claude = have_claude(cache, claude_sha256) if recipe.carries_claude else None
            archives = {one: fetched(cache, one) for one in recipe.archives}
            bench.build(recipe, wanted[recipe.name], claude, archives)
        for reference in wanted.values():
            bench.tag(reference, latest(reference))
        if lacking:
            bench.forget_all_but({*wanted.values(), *(root_reference(r, RUNNER) for r in (PLAIN_ROOT, GATE_ROOT))})
    return references


def default_cache() -> Path:
    """Where fetched files are kept between builds."""
    return Path.home() / ".cache" / "mcp-ashigaru"


def outdated(listed: str, kept: set[str], before: float) -> list[str]:
    """Our keyed references in `podman images --format json` that are not kept and were made before that time."""
    try:
        images = json.loads(listed)
    except ValueError:
        return []
    old = [image for image in images if isinstance(image, dict) and image.get("Created", before) < before]
    names = sorted({name for image in old for name in image.get("Names") or ()})
    return [name for name in names if name.startswith(f"{REPOSITORY}/") and name not in kept | {latest(name)}]


@dataclass(frozen=True, kw_only=True)
class _Bench:
    podman: tuple[str, ...]
    state_dir: Path
    progress: Progress

    def has(self, reference: str) -> bool:
        return self._run(("image", "exists", reference), PODMAN_S).returncode == 0

    def tag(self, reference: str, name: str) -> None:
        self._must(("tag", reference, name), PODMAN_S, "an image could not be tagged")

    def have_root(self, recipe: RootRecipe) -> None:
        reference = root_reference(recipe, RUNNER)
        if self.has(reference):
            return
        began = time.monotonic()
        if self._registry_answers() and self._from_registry(recipe, reference):
            source = "a registry"
        else:
            self._from_packages(recipe, reference)
            source = "the distribution's packages"
        self.progress(f"{recipe.name} made from {source} in {time.monotonic() - began:.0f} s")

    def build(self, recipe: ImageRecipe, reference: str, claude: Path | None, archives: Mapping[Archive, Path]) -> None:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(dir=self._scratch(claude), prefix="image-") as folder:
            context = Path(folder)
            for path in recipe.copies:
                shutil.copyfile(path, context / path.name)
                (context / path.name).chmod(0o644)
            for archive, path in archives.items():
                unpack(path, context / archive.place, archive.only)
            if claude is not None:
                place(claude, context / "claude")
            options = ("--network=none", f"--build-arg=ROOT={root_reference(recipe.root, RUNNER)}")
            self._build(recipe.containerfile, context, reference, options)
        # The first start with keep-id copies the layers with new owners; and it proves that containers work here.
        start = ("run", "--rm", "--network=none", "--userns=keep-id", f"--entrypoint={recipe.proof[0]}")
        self._must((*start, reference, *recipe.proof[1:]), BUILD_S, f"the {recipe.name} image does not run")
        self.progress(f"{recipe.name} built in {time.monotonic() - began:.0f} s")

    def forget_all_but(self, kept: set[str]) -> None:
        """Untag what versions of long ago left. Not the recent ones: another checkout of this account may use them.

        Podman itself refuses for an image that a container still uses.
        """
        listed = self._run(("images", "--format", "json"), PODMAN_S).stdout
        for name in outdated(listed, kept, time.time() - KEPT_S)[:MAX_OLD_IMAGES]:
            self._run(("rmi", name), PODMAN_S)

    def _scratch(self, claude: Path | None) -> Path:
        """Beside the binary where there is one, so that it can be hard-linked."""
        return self.state_dir if claude is None else claude.parent

    def _registry_answers(self) -> bool:
        probe = ("manifest", "inspect", f"docker://{REGISTRY_ROOT}")
        try:
            return self._run(probe, REGISTRY_PROBE_S).returncode == 0
        except SandboxFault:
            return False

    def _from_registry(self, recipe: RootRecipe, reference: str) -> bool:
        arguments = (f"--build-arg=FROM={REGISTRY_ROOT}", f"--build-arg=PACKAGES={' '.join(recipe.packages)}")
        try:
            if self._run(("pull", "--quiet", REGISTRY_ROOT), PULL_S).returncode != 0:
                return False
            with tempfile.TemporaryDirectory(dir=self.state_dir, prefix="image-") as folder:
                # The host's network, because a rootless network of its own needs a tun device that not every host has.
                self._build(
                    RUNNER / "images" / "root" / "Containerfile",
                    Path(folder),
                    reference,
                    ("--network=host", *arguments),
                )
        except SandboxFault as fault:
            self.progress(f"the registry's Debian was of no use, taking packages instead: {fault}")
            return False
        return True

    def _from_packages(self, recipe: RootRecipe, reference: str) -> None:
        with tempfile.TemporaryDirectory(dir=self.state_dir, prefix="root-") as folder:
            archive = Path(folder) / "root.tar"
            debian.make_root(recipe.packages, archive)
            self._must(("import", "--quiet", str(archive), reference), BUILD_S, "a root image could not be imported")

    def _build(self, containerfile: Path, context: Path, reference: str, options: tuple[str, ...]) -> None:
        argv = ("build", *BUILD_OPTIONS, *options, f"--file={containerfile}", f"--tag={reference}", str(context))
        self._must(argv, BUILD_S, f"{reference} could not be built")

    def _must(self, arguments: tuple[str, ...], seconds: float, failure: str) -> None:
        done = self._run(arguments, seconds)
        if done.returncode != 0:
            said = (done.stderr.strip().splitlines() or ["podman said nothing"])[-1][:300]
            raise SandboxFault(f"{failure} ({said}); cure that and run `make images` again.")

    def _run(self, arguments: tuple[str, ...], seconds: float) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                [*self.podman, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as exc:
            raise SandboxFault(f"`podman {arguments[0]}` took over {seconds:.0f} s; run `make images` again.") from exc
        except OSError as exc:
            raise SandboxFault("podman cannot be started; run `make images`, which says what is missing.") from exc


@contextmanager
def _alone(path: Path, progress: Progress) -> Iterator[None]:
    """Hold the build's lock; another holder is waited for, at most LOCK_S seconds."""
    deadline = time.monotonic() + LOCK_S
    with path.open("ab") as handle:
        waiting = False
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as exc:
                if time.monotonic() > deadline:
                    raise SandboxFault("Another process is still building the images; wait for it to end.") from exc
                if not waiting:
                    progress("waiting for another process that is building them")
                waiting = True
                time.sleep(0.2)
        yield
