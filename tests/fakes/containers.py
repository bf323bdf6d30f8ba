"""Sandboxes in memory, held to the same contract as podman's; what runs in them is Python, told by a behaviour.

`FakeContainers(behaviours)` asks `behaviours(spec)` what a sandbox does when it starts. It outlives the daemon under
test, as podman does: a restart finds its sandboxes running, or ended.
"""

from __future__ import annotations

import copy
import hashlib
import threading
import traceback
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from runner.errors import EngineDown, ImageMissing, SandboxFault
from runner.sandbox import LABEL_HOST, LABEL_RUN
from runner.sandboxes import Role, RunState, SandboxListing, SandboxSpec, SandboxStatus
from tests.fakes.behaviours import Behaviour, Ended, Inside

IMAGES = ("localhost/ashigaru/agent:latest", "localhost/ashigaru/relay:latest", "localhost/ashigaru/gate:latest")


@dataclass(kw_only=True)
class _Sandbox:
    spec: SandboxSpec
    inside: Inside
    done: threading.Event = field(default_factory=threading.Event)
    ended: Ended | None = None


class FakeContainers:
    """`runner.ports.Containers` in memory.

    threaded: each behaviour runs in a thread of its own; otherwise within `start`, which then returns with the
    sandbox already exited. images: the references that are on this host. `down = True` makes every call raise
    EngineDown, as a stopped podman service would; sandboxes run on. hosts: as `PodmanContainers` has it.
    """

    def __init__(
        self,
        behaviours: Callable[[SandboxSpec], Behaviour],
        *,
        threaded: bool = True,
        images: Collection[str] = IMAGES,
        hosts: Collection[str] | None = None,
    ) -> None:
        self._hosts = hosts
        self._behaviours = behaviours
        self._threaded = threaded
        self._images = {reference: self._id(reference) for reference in images}
        self._sandboxes: dict[str, _Sandbox] = {}
        self._lock = threading.Lock()
        self.made: dict[str, SandboxSpec] = {}
        """What was made ready and not started yet: its start runs it as it was made."""
        self.down = False
        self.started: list[SandboxSpec] = []
        """Every sandbox that was really started, in order."""
        self.faults: list[str] = []
        """Tracebacks of behaviours that raised: a story asserts that there are none."""

    def seen_by(self, *hosts: str) -> FakeContainers:
        """The same engine, as a daemon has it whose sandboxes have one of those labels."""
        other = copy.copy(self)
        other._hosts = hosts
        return other

    @staticmethod
    def _id(reference: str) -> str:
        return hashlib.sha256(reference.encode("utf-8")).hexdigest()

    @contextmanager
    def _engine(self) -> Iterator[dict[str, _Sandbox]]:
        if self.down:
            raise EngineDown("Podman does not answer; see that its service runs and try again.")
        with self._lock:
            yield self._sandboxes

    def image_id(self, reference: str) -> str:
        with self._engine():
            found = self._images.get(reference, reference if reference in self._images.values() else None)
        if found is None:
            raise ImageMissing("A sandbox's image is not on this host; build the images and try again.")
        return found

    def ready(self, spec: SandboxSpec) -> None:
        with self._engine() as sandboxes:
            there = sandboxes[spec.name].spec if spec.name in sandboxes else self.made.get(spec.name)
            if there is None:
                self._have_images(spec)
                self.made[spec.name] = spec
            elif _run(there) != _run(spec):
                raise _foreign(spec.name)

    def _have_images(self, spec: SandboxSpec) -> None:
        beside = () if spec.relay is None else (spec.relay.image,)
        images = (spec.image, *beside, *(service.image for service in spec.services))
        if not set(images) <= set(self._images.values()):
            raise ImageMissing("A sandbox's image is not on this host; build the images and try again.")

    def start(self, spec: SandboxSpec) -> bool:
        with self._engine() as sandboxes:
            there = sandboxes.get(spec.name)
            if there is not None:
                if _run(there.spec) != _run(spec):
                    raise _foreign(spec.name)
                return False
            made = self.made.pop(spec.name, None)
            if made is not None and _run(made) != _run(spec):
                raise _foreign(spec.name)
            spec = made or spec
            self._have_images(spec)
            inside = Inside(spec=spec, stopping=threading.Event(), killed=threading.Event(), printed=bytearray())
            sandbox = sandboxes[spec.name] = _Sandbox(spec=spec, inside=inside)
            self.started.append(spec)
        for service in spec.services:
            self._begin_service(service)
        if self._threaded:
            threading.Thread(target=self._live, args=(sandbox,), name=spec.name, daemon=True).start()
        else:
            self._live(sandbox)
        return True

    def _begin_service(self, spec: SandboxSpec) -> None:
        """A service always has a thread of its own: it lives beside its sandbox."""
        inside = Inside(spec=spec, stopping=threading.Event(), killed=threading.Event(), printed=bytearray())
        with self._lock:
            if spec.name in self._sandboxes:
                return
            sandbox = self._sandboxes[spec.name] = _Sandbox(spec=spec, inside=inside)
            self.started.append(spec)
        threading.Thread(target=self._live, args=(sandbox,), name=spec.name, daemon=True).start()

    def _live(self, sandbox: _Sandbox) -> None:
        try:
            ended = self._behaviours(sandbox.spec)(sandbox.inside)
        except BaseException:  # noqa: BLE001 - whatever a test's behaviour raises ends its sandbox and is kept
            fault = traceback.format_exc()
            self.faults.append(fault)
            sandbox.inside.say(fault.encode("utf-8"))
            ended = Ended(code=70)
        with self._lock:
            sandbox.ended = sandbox.ended or ended
        sandbox.done.set()

    def status(self, name: str) -> SandboxStatus:
        with self._engine() as sandboxes:
            sandbox = sandboxes.get(name)
            if sandbox is None:
                return SandboxStatus(state=RunState.ABSENT)
            if sandbox.ended is None:
                return SandboxStatus(state=RunState.RUNNING)
            return SandboxStatus(state=RunState.EXITED, exit_code=sandbox.ended.code, oom=sandbox.ended.oom)

    def output(self, name: str, max_bytes: int) -> bytes:
        with self._engine() as sandboxes:
            sandbox = sandboxes.get(name)
            printed = bytes(sandbox.inside.printed) if sandbox is not None else b""
        return printed[-max_bytes:] if max_bytes > 0 else b""

    def stop(self, name: str, grace_s: float) -> None:
        with self._engine() as sandboxes:
            sandbox = sandboxes.get(name)
        if sandbox is None or sandbox.done.is_set():
            return
        sandbox.inside.stopping.set()
        if not sandbox.done.wait(grace_s):
            self._kill(sandbox)

    def _kill(self, sandbox: _Sandbox) -> None:
        with self._lock:
            sandbox.ended = sandbox.ended or Ended(code=137)
        sandbox.inside.killed.set()
        sandbox.inside.stopping.set()

    def kill(self, name: str) -> None:
        """What a test does to a sandbox behind the daemon's back: SIGKILL."""
        self._kill(self._sandboxes[name])

    def remove(self, name: str) -> None:
        with self._engine() as sandboxes:
            self.made.pop(name, None)
            sandbox = sandboxes.pop(name, None)
            beside = () if sandbox is None else sandbox.spec.services
            gone = [sandbox, *(sandboxes.pop(service.name, None) for service in beside)]
        for one in gone:
            if one is not None:
                self._kill(one)

    def listing(self, run_id: str | None = None) -> tuple[SandboxListing, ...]:
        with self._engine() as sandboxes:
            found = [
                SandboxListing(
                    name=name,
                    labels=tuple(sorted(sandbox.spec.labels)),
                    state=RunState.RUNNING if sandbox.ended is None else RunState.EXITED,
                )
                for name, sandbox in sorted(sandboxes.items())
                if sandbox.spec.role is not Role.SERVICE
            ]
            found.extend(
                SandboxListing(name=name, labels=tuple(sorted(spec.labels)), state=RunState.ABSENT)
                for name, spec in sorted(self.made.items())
            )
        return tuple(
            one
            for one in found
            if (run_id is None or dict(one.labels).get(LABEL_RUN) == run_id)
            and (self._hosts is None or dict(one.labels).get(LABEL_HOST) in self._hosts)
        )


def _run(spec: SandboxSpec) -> str | None:
    return dict(spec.labels).get(LABEL_RUN)


def _foreign(name: str) -> SandboxFault:
    return SandboxFault(f"A container named {name} is there that is not ours; remove it first.")
