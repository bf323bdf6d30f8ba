"""The sandbox recipes, bound to this daemon's images, limits and host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gates.services import Service
from runner.layout import AttemptDirs, GateDirs
from runner.sandbox import Beside, Limits, Owner, agent_spec, gate_spec, service_spec, setup_spec
from runner.sandboxes import SandboxSpec


@dataclass(frozen=True, kw_only=True)
class Recipes:
    """Makes specs. image_id: turns a reference into the id that the spec, and so the verdict, is bound to."""

    image_id: Callable[[str], str]
    host: str
    agent_image: str
    relay_image: str
    gate_image: str
    agent_limits: Limits
    gate_limits: Limits
    hold_s: int
    setup_environment: tuple[tuple[str, str], ...] = ()
    ca_bundle: Path | None = None

    def agent(self, *, run_id: str, attempt: int, dirs: AttemptDirs) -> SandboxSpec:
        """The agent's sandbox for one attempt. Raises ImageMissing."""
        return agent_spec(
            owner=Owner(run_id=run_id, attempt=attempt, host=self.host),
            image=self.image_id(self.agent_image),
            relay_image=self.image_id(self.relay_image),
            tree=str(dirs.tree),
            in_dir=str(dirs.inputs),
            out_dir=str(dirs.out),
            socket_dir=str(dirs.sockets),
            hold_s=self.hold_s,
            limits=self.agent_limits,
        )

    def gate(
        self,
        *,
        run_id: str,
        what: str,
        take: int,
        image: str,
        dirs: GateDirs,
        environment: Path | None,
        script: str,
        services: tuple[Service, ...] = (),
    ) -> SandboxSpec:
        """A gate's sandbox with its services beside it. image is an id. Raises ImageMissing."""
        owner = Owner(run_id=run_id, attempt=0, host=self.host)
        return gate_spec(
            owner=owner,
            beside=None if not services else self._beside(owner, what, take, services),
            what=what,
            take=take,
            image=image,
            tree=str(dirs.tree),
            out_dir=str(dirs.out),
            env_dir=None if environment is None else str(environment),
            script=script,
            limits=self.gate_limits,
        )

    def _beside(self, owner: Owner, what: str, take: int, services: tuple[Service, ...]) -> Beside:
        return Beside(
            relay_image=self.image_id(self.relay_image),
            services=tuple(
                service_spec(owner=owner, what=what, take=take, image=self.image_id(one.image), service=one)
                for one in services
            ),
        )

    def setup(
        self, *, run_id: str, key: str, image: str, tree: Path, environment: Path, sockets: Path, script: str
    ) -> SandboxSpec:
        """A set-up's sandbox. image is an id. Raises ImageMissing."""
        bundle = self.ca_bundle
        return setup_spec(
            owner=Owner(run_id=run_id, attempt=0, host=self.host),
            key=key,
            image=image,
            relay_image=self.image_id(self.relay_image),
            tree=str(tree),
            env_dir=str(environment),
            socket_dir=str(sockets),
            script=script,
            ca_dir=None if bundle is None else str(bundle.parent),
            ca_file="ca-certificates.crt" if bundle is None else bundle.name,
            environment=self.setup_environment,
            limits=self.gate_limits,
        )
