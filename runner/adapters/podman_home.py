"""Podman with a configuration and a storage of our own, so that nothing on the host is rewritten.

The only library is the `podman` command line.
"""

from __future__ import annotations

import hashlib
import os
import resource
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from runner.adapters.podman_seccomp import write_profile
from runner.errors import EngineDown

PROBE_S = 60.0
MAX_OPEN_FILES = 20_000
MAX_PROCESSES = 2_048
"""Counted over all processes of the account: where cgroups do not enforce a limit, this is what stops a fork bomb."""

INSTALL_CURE = "run `make images`, which says what this machine lacks"


@dataclass(frozen=True, kw_only=True)
class HostTraits:
    """What of this host the configuration depends on."""

    cgroups_v2: bool
    user_bus: bool
    runtimes: tuple[str, ...]
    fuse_overlayfs: str | None
    open_files: int
    processes: int


@dataclass(frozen=True, kw_only=True)
class StorageDriver:
    """One way to keep layers; `mount_program` is empty for the kernel's own overlay."""

    name: str
    mount_program: str = ""


def storage_drivers(traits: HostTraits) -> tuple[StorageDriver, ...]:
    """What to try, best first."""
    fuse = (StorageDriver(name="overlay", mount_program=traits.fuse_overlayfs),) if traits.fuse_overlayfs else ()
    return (StorageDriver(name="overlay"), *fuse, StorageDriver(name="vfs"))


def containers_conf(traits: HostTraits, private: Path, runtime: Path, seccomp: Path | None = None) -> str:
    """Text of containers.conf. crun refuses hybrid cgroups; podman's own ulimits exceed a low hard limit.

    `static_dir` stays podman's own, below graphroot: with another one podman 4.3 waits 20 s at each container's exit.
    """
    wanted = ("crun", "runc") if traits.cgroups_v2 else ("runc", "crun")
    chosen = next((name for name in wanted if name in traits.runtimes), "runc")
    cgroups = "systemd" if traits.cgroups_v2 and traits.user_bus else "cgroupfs"
    files, processes = min(MAX_OPEN_FILES, traits.open_files), min(MAX_PROCESSES, traits.processes)
    scratch = runtime / "tmp"
    filtered = f'seccomp_profile = "{seccomp}"\n' if seccomp is not None else ""
    return f"""[containers]
{filtered}host_containers_internal_ip = "none"
default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]
log_driver = "k8s-file"
http_proxy = false

[engine]
cgroup_manager = "{cgroups}"
runtime = "{chosen}"
events_logger = "file"
tmp_dir = "{scratch}"

[network]
network_config_dir = "{private}/networks"
"""


def storage_conf(driver: StorageDriver, private: Path, runtime: Path) -> str:
    """Text of storage.conf."""
    # Without rootless_storage_path a rootless podman keeps to the account's usual place, whatever graphroot says.
    places = f'graphroot = "{private}/storage"\nrootless_storage_path = "{private}/storage"\n'
    text = f'[storage]\ndriver = "{driver.name}"\n{places}runroot = "{runtime}/containers"\n'
    if driver.mount_program:
        text += f'\n[storage.options.overlay]\nmount_program = "{driver.mount_program}"\n'
    return text


def host_traits() -> HostTraits:
    """What the host is like now."""
    runtimes = tuple(name for name in ("crun", "runc") if shutil.which(name))
    return HostTraits(
        cgroups_v2=Path("/sys/fs/cgroup/cgroup.controllers").exists(),
        user_bus=(_runtime_root() / "bus").exists(),
        runtimes=runtimes,
        fuse_overlayfs=shutil.which("fuse-overlayfs"),
        open_files=_hard_limit(resource.RLIMIT_NOFILE),
        processes=_hard_limit(resource.RLIMIT_NPROC),
    )


def _hard_limit(which: int) -> int:
    limit = resource.getrlimit(which)[1]
    return 1_048_576 if limit == resource.RLIM_INFINITY else limit


def hard_limits() -> dict[str, int]:
    """What this account may ask for at most, by rlimit; podman's service is its child, and can raise none of them."""
    known = {"core": resource.RLIMIT_CORE, "fsize": resource.RLIMIT_FSIZE}
    known |= {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}
    found = {name: resource.getrlimit(which)[1] for name, which in known.items()}
    return {name: limit for name, limit in found.items() if limit != resource.RLIM_INFINITY}


def _runtime_root() -> Path:
    """The account's run-time directory, or one of our own where no login manager made it."""
    made = Path(f"/run/user/{os.getuid()}")
    if made.is_dir() and made.stat().st_uid == os.getuid():
        return made
    ours = Path(f"/tmp/ash-{os.getuid()}")  # noqa: S108 - owned and 0700, or refused below
    ours.mkdir(mode=0o700, exist_ok=True)
    if ours.is_symlink() or ours.stat().st_uid != os.getuid() or ours.stat().st_mode & 0o077:
        raise EngineDown(f"{ours} is not a private directory of this account; remove it and start again.")
    return ours


@dataclass(frozen=True, kw_only=True)
class PodmanHome:
    """A private podman below a state directory; its images and containers are its own."""

    private: Path
    runtime: Path

    @property
    def argv(self) -> tuple[str, ...]:
        """The command line to put podman's arguments behind."""
        return (
            "env",
            f"CONTAINERS_CONF={self.private}/containers.conf",
            f"CONTAINERS_STORAGE_CONF={self.private}/storage.conf",
            f"XDG_RUNTIME_DIR={self.runtime}",
            "podman",
        )


def prepare_podman(state_dir: Path) -> PodmanHome:
    """Have the private configuration below `state_dir` written, with a storage driver that works here.

    Safe to repeat: the driver is chosen once and then kept. Raises EngineDown with the cure when podman is missing or
    does not work for this account.
    """
    if shutil.which("podman") is None:
        raise EngineDown(f"podman is not installed; {INSTALL_CURE}.")
    private = state_dir.absolute() / "podman"
    # Short, because sockets live below it, deep down, and their paths may hold 108 bytes in all (unix(7)): with four
    # bytes too many podman 4.3 works, but takes 20 s to notice that a container has exited.
    key = hashlib.sha256(str(private).encode("utf-8")).hexdigest()[:8]
    runtime = _runtime_root() / f"ash-{key}"
    for directory in (state_dir.absolute(), private, runtime):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    home = PodmanHome(private=private, runtime=runtime)
    traits = host_traits()
    _write(private / "containers.conf", containers_conf(traits, private, runtime, write_profile(private)))
    if not (private / "storage.conf").exists():
        _choose_driver(home, traits)
    return home


def _choose_driver(home: PodmanHome, traits: HostTraits) -> None:
    trial = home.private / "storage.conf.trial"
    said = ""
    for driver in storage_drivers(traits):
        text = storage_conf(driver, home.private, home.runtime)
        trial.write_text(text, encoding="utf-8")
        argv = [part.replace("/storage.conf", "/storage.conf.trial") for part in home.argv]
        try:
            done = subprocess.run(
                [*argv, "info", "--format", "{{.Store.GraphDriverName}}"],
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=PROBE_S,
                check=False,
            )
        except subprocess.TimeoutExpired as exc:
            raise EngineDown(f"`podman info` gave no answer in {PROBE_S:.0f} s; run it by hand to see why.") from exc
        if done.returncode == 0:
            trial.replace(home.private / "storage.conf")
            return
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:300]
    raise EngineDown(f"podman does not work for this account ({said}); run `podman info` by hand and follow it.")


def _write(path: Path, text: str) -> None:
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
