"""Which images the sweep removes, by real podman on an image store of its own."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import pytest

from mcp_ashigaru.settings import load_settings
from mcp_ashigaru.walls import own_podman
from runner.images.build import RUNNER
from runner.images.recipe import image_reference, latest, recipes
from runner.images.unused import UnusedImages
from tests.sandbox.podman_lab import PodmanLab

pytestmark = [pytest.mark.podman, pytest.mark.timeout(240)]

OLD, OLDER, USED = (f"localhost/ashigaru/{name}" for name in ("agent:old", "agent:older", "gate:old"))
MINE = "localhost/ashigaru/agent:mine"
SOMEBODYS = "docker.io/library/somebodys:1"


@dataclass(frozen=True, kw_only=True)
class Store:
    """A podman that has nothing but what a test puts there."""

    argv: Sequence[str]
    _sizes: Iterator[int]

    def __call__(self, *arguments: str, feed: bytes = b"") -> str:
        done = subprocess.run([*self.argv, *arguments], input=feed, capture_output=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
        return done.stdout.decode().strip()

    def image(self, *name: str) -> str:
        """A small image unlike every other; its id."""
        held, content = io.BytesIO(), b"x" * next(self._sizes)
        with tarfile.open(fileobj=held, mode="w") as archive:
            file = tarfile.TarInfo("file")
            file.size = len(content)
            archive.addfile(file, io.BytesIO(content))
        return self("import", "--quiet", "-", *name, feed=held.getvalue()).removeprefix("sha256:")

    def names(self) -> set[str]:
        return set(self("images", "--format", "{{.Repository}}:{{.Tag}}").splitlines())


@pytest.fixture
def store(podman_host: PodmanLab) -> Iterator[Store]:
    settings = load_settings(state_dir=podman_host.directory("state"), podman_dir=podman_host.directory("podman"))
    made = Store(argv=own_podman(settings), _sizes=count(1000))
    assert made.names() == set()
    try:
        yield made
    finally:
        made("rm", "--all", "--force")
        made("rmi", "--all", "--force")


def test_old_names_of_ours_and_nameless_images_go_and_what_a_container_or_anybody_else_uses_stays(store: Store) -> None:
    kept = latest(image_reference(next(iter(recipes(RUNNER))), RUNNER))
    for name in (OLD, USED, MINE, SOMEBODYS, kept):
        store.image(name)
    store("tag", OLD, OLDER)
    nameless = store.image()
    store("create", "--name", "uses-it", USED, "/file")
    stock = UnusedImages(podman=store.argv, used=frozenset({MINE}))

    things = {thing.name: thing for thing in stock.things()}

    assert set(things) == {OLD, OLDER, USED, nameless}
    assert all(thing.used_at > 0 for thing in things.values())
    # Two names of one image take up its place once.
    assert [things[name].bytes > 0 for name in (USED, nameless)] == [True, True]
    assert sorted(things[name].bytes > 0 for name in (OLD, OLDER)) == [False, True]
    put_away = {name: stock.put_away(thing) for name, thing in things.items()}
    assert put_away == {OLD: True, OLDER: True, USED: False, nameless: True}
    assert store.names() == {USED, MINE, SOMEBODYS, kept}
    assert stock.put_away(things[OLD])
