"""Podman's private home and its service, with a podman made of a script."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from runner.adapters.podman_home import (
    HostTraits,
    StorageDriver,
    containers_conf,
    prepare_podman,
    storage_conf,
    storage_drivers,
)
from runner.adapters.podman_service import PodmanService
from runner.errors import EngineDown

AWKWARD = HostTraits(
    cgroups_v2=False, user_bus=False, runtimes=("crun", "runc"), fuse_overlayfs=None, open_files=4096, processes=900
)
MODERN = HostTraits(
    cgroups_v2=True,
    user_bus=True,
    runtimes=("crun", "runc"),
    fuse_overlayfs="/usr/bin/fuse-overlayfs",
    open_files=1_048_576,
    processes=1_048_576,
)

PODMAN = """#!{python}
import os, signal, socket, sys
from pathlib import Path
arguments = sys.argv[1:]
conf = Path(os.environ["CONTAINERS_STORAGE_CONF"])
if arguments[0] == "info":
    refused = {refused!r}
    text = conf.read_text(encoding="utf-8")
    if any(word in text for word in refused):
        sys.exit("Error: " + "no such driver here")
    sys.exit(0)
if {deaf}:
    sys.exit("Error: no service today")
server = socket.socket(socket.AF_UNIX)
server.bind(arguments[-1].removeprefix("unix://"))
server.listen()
fifo = {fifo!r} and os.open({fifo!r}, os.O_WRONLY)
signal.sigwait([signal.SIGTERM])
"""


def _podman(folder: Path, *, refused: tuple[str, ...] = (), deaf: bool = False, fifo: str = "") -> None:
    folder.mkdir(exist_ok=True)
    script = PODMAN.format(python=sys.executable, refused=refused, deaf=deaf, fifo=fifo)
    (folder / "podman").write_text(
        script.replace(
            "arguments = sys", "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\narguments = sys"
        ),
        encoding="utf-8",
    )
    (folder / "podman").chmod(0o755)


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in ("env", "setpriv"):
        if found := shutil.which(tool):
            (folder / tool).symlink_to(found)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_hybrid_cgroups_get_runc_and_ulimits_within_the_hard_limits() -> None:
    conf = tomllib.loads(containers_conf(AWKWARD, Path("/p"), Path("/r")))
    assert conf["engine"]["runtime"] == "runc"
    assert conf["engine"]["cgroup_manager"] == "cgroupfs"
    assert conf["containers"]["default_ulimits"] == ["nofile=4096:4096", "nproc=900:900"]


def test_a_modern_host_gets_crun_and_systemd_and_a_bound_on_processes() -> None:
    conf = tomllib.loads(containers_conf(MODERN, Path("/p"), Path("/r")))
    assert (conf["engine"]["runtime"], conf["engine"]["cgroup_manager"]) == ("crun", "systemd")
    assert conf["containers"]["default_ulimits"] == ["nofile=20000:20000", "nproc=2048:2048"]


def test_without_a_user_bus_systemd_is_not_asked_for_cgroups() -> None:
    conf = tomllib.loads(containers_conf(replace(MODERN, user_bus=False), Path("/p"), Path("/r")))
    assert conf["engine"]["cgroup_manager"] == "cgroupfs"


def test_podman_keeps_its_own_static_directory() -> None:
    assert "static_dir" not in tomllib.loads(containers_conf(MODERN, Path("/p"), Path("/r")))["engine"]


def test_storage_is_private_for_a_rootless_podman_too() -> None:
    storage = tomllib.loads(storage_conf(StorageDriver(name="overlay"), Path("/p"), Path("/r")))["storage"]
    assert storage["graphroot"] == storage["rootless_storage_path"] == "/p/storage"
    assert storage["runroot"] == "/r/containers"


def test_the_kernels_overlay_is_tried_before_fuse_and_fuse_before_copies() -> None:
    assert [(driver.name, driver.mount_program) for driver in storage_drivers(MODERN)] == [
        ("overlay", ""),
        ("overlay", "/usr/bin/fuse-overlayfs"),
        ("vfs", ""),
    ]


def test_the_first_driver_that_podman_accepts_is_kept(tmp_path: Path, bin_folder: Path) -> None:
    _podman(bin_folder, refused=('"overlay"',))
    home = prepare_podman(tmp_path / "state")
    kept = home.private / "storage.conf"
    assert tomllib.loads(kept.read_text(encoding="utf-8"))["storage"]["driver"] == "vfs"
    _podman(bin_folder)
    prepare_podman(tmp_path / "state")
    assert tomllib.loads(kept.read_text(encoding="utf-8"))["storage"]["driver"] == "vfs"


def test_a_podman_that_works_in_no_way_is_a_fault_with_its_own_words(tmp_path: Path, bin_folder: Path) -> None:
    _podman(bin_folder, refused=("driver",))
    with pytest.raises(EngineDown) as caught:
        prepare_podman(tmp_path / "state")
    assert "no such driver here" in str(caught.value)


def test_a_missing_podman_is_a_fault_with_a_cure(tmp_path: Path, bin_folder: Path) -> None:
    assert bin_folder.is_dir()
    with pytest.raises(EngineDown) as caught:
        prepare_podman(tmp_path / "state")
    assert "make images" in str(caught.value)


def test_the_service_answers_while_it_is_held_and_not_after(tmp_path: Path, bin_folder: Path) -> None:
    _podman(bin_folder)
    with PodmanService(tmp_path / "state") as service:
        path = service.url.removeprefix("unix://")
        assert service.start() == service.url
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
    assert not Path(path).exists()
    service.stop()


def test_a_service_that_dies_is_followed_by_another_on_the_same_socket(tmp_path: Path, bin_folder: Path) -> None:
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)
    _podman(bin_folder, fifo=str(fifo))
    with PodmanService(tmp_path / "state") as service:
        path = service.url.removeprefix("unix://")
        with fifo.open("rb") as alive:  # opens when the service, which listens by then, has opened the other end
            first = _listener(path)
            os.kill(first, signal.SIGSEGV)
            assert alive.read() == b""
        with fifo.open("rb"):
            second = _listener(path)
        assert second != first
    assert not Path(path).exists()
    assert not Path(f"/proc/{second}").exists()


def _listener(path: str) -> int:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        return int(struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])


def test_a_service_that_dies_at_once_is_a_fault_that_names_its_log(tmp_path: Path, bin_folder: Path) -> None:
    _podman(bin_folder, deaf=True)
    with pytest.raises(EngineDown) as caught:
        PodmanService(tmp_path / "state").start()
    assert "service.log" in str(caught.value)
    assert "no service today" in (tmp_path / "state" / "podman" / "service.log").read_text(encoding="utf-8")


def test_the_service_ends_when_its_starter_is_killed(tmp_path: Path, bin_folder: Path) -> None:
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)
    _podman(bin_folder, fifo=str(fifo))
    program = (
        "import sys, signal; from pathlib import Path; from runner.adapters.podman_service import PodmanService\n"
        f"PodmanService(Path({str(tmp_path / 'state')!r})).start(); print('up', flush=True); signal.pause()"
    )
    project = Path(__file__).resolve().parents[2]
    starting = subprocess.Popen([sys.executable, "-c", program], cwd=project, stdout=subprocess.PIPE)
    with starting as starter, fifo.open("rb") as alive:
        assert starter.stdout is not None
        assert starter.stdout.readline() == b"up\n"
        starter.send_signal(signal.SIGKILL)
        assert alive.read() == b""  # returns when the service, which holds the other end, is gone


def test_a_socket_that_a_dead_service_left_is_swept_away(tmp_path: Path, bin_folder: Path) -> None:
    _podman(bin_folder)
    runtime = prepare_podman(tmp_path / "state").runtime
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left, unknown = runtime / f"api-{ended.pid}.sock", runtime / "api-what.sock"
    for path in (left, unknown):
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
    with PodmanService(tmp_path / "state"):
        assert (left.exists(), unknown.exists()) == (False, False)


def test_a_socket_that_does_not_answer_is_left_while_its_starter_lives(tmp_path: Path, bin_folder: Path) -> None:
    _podman(bin_folder)
    runtime = prepare_podman(tmp_path / "state").runtime
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as starter:
        busy = runtime / f"api-{starter.pid}.sock"
        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(str(busy))
        with PodmanService(tmp_path / "state"):
            assert busy.exists()
        starter.communicate(b"\n")
