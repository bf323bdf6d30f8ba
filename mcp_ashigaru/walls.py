"""What the sandboxes stand behind, as the settings say: podman, the recipes, the model gateway, the egress proxy."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

from mcp_ashigaru.settings import Settings
from runner.adapters.podman_containers import PodmanContainers
from runner.adapters.podman_seccomp import write_profile
from runner.adapters.podman_service import PodmanService, prepare_podman
from runner.disk import Disk, DiskLimits
from runner.gateway.access import Gateways, gateways, upstream_from
from runner.gateway.egress import Egress
from runner.gateway.metering import Price, PriceTable
from runner.gateway.model_gateway import Credential
from runner.images.build import ensure_images
from runner.ports import Clock, Containers
from runner.recipes import Recipes
from runner.sandbox import Limits
from runner.spending import Spending


def podman_argv(settings: Settings) -> tuple[str, ...]:
    """The command line that reaches the daemon's podman."""
    if settings.podman_url is not None:
        return ("podman", "--remote", "--url", settings.podman_url)
    return prepare_podman(settings.podman_dir).argv


def build_images(settings: Settings, progress: Callable[[str], None]) -> None:
    """Have the sandboxes' images in the daemon's podman. Raises SandboxFault, EngineDown."""
    ensure_images(podman_argv(settings), settings.podman_dir, progress)


def podman_containers(settings: Settings, stack: ExitStack) -> PodmanContainers:
    """The daemon's podman, with a service of our own while `stack` is open where the settings name none."""
    url = settings.podman_url or stack.enter_context(PodmanService(settings.podman_dir)).url
    return PodmanContainers(url, seccomp=write_profile(settings.state_dir))


def recipes_of(settings: Settings, containers: Containers) -> Recipes:
    """How sandboxes are made, as the settings say."""
    return Recipes(
        image_id=containers.image_id,
        host=settings.host_id,
        agent_image=settings.agent_image,
        relay_image=settings.relay_image,
        gate_image=settings.gate_image,
        agent_limits=_limits(settings, settings.agent_memory),
        gate_limits=_limits(settings, settings.gate_memory),
        hold_s=settings.relay_hold_s,
        setup_environment=tuple(sorted(settings.setup_environment.items())),
        ca_bundle=settings.setup_ca_bundle,
    )


def _limits(settings: Settings, memory: int) -> Limits:
    return Limits(memory=memory, pids=settings.sandbox_pids, cpus=settings.sandbox_cpus, file=settings.sandbox_disk)


def disk_of(settings: Settings, clock: Clock) -> Disk:
    """What may be written to the host's disk, as the settings say."""
    limits = DiskLimits(written=settings.sandbox_disk, entries=settings.sandbox_files, floor=settings.disk_floor)
    return Disk(state_dir=settings.state_dir, clock=clock, limits=limits)


def gateways_of(settings: Settings, spending: Spending) -> AbstractContextManager[Gateways]:
    """The model gateway and the egress proxy, as the settings say."""
    token, kind = settings.anthropic_api_key, "api_key"
    if token is None:
        token, kind = settings.claude_code_oauth_token, "oauth"
    upstream = upstream_from(settings.model_upstream, settings.model_url)
    credential = None
    if token is not None and upstream.needs_credential:
        credential = Credential(kind="api_key" if kind == "api_key" else "oauth", value=token.get_secret_value())
    return gateways(
        upstream=upstream,
        credential=credential,
        prices=PriceTable(prices={name: Price(**price.model_dump()) for name, price in settings.prices.items()}),
        spending=spending,
        egress=Egress(
            allowed=frozenset(one.lower() for one in settings.setup_egress),
            private_hosts=frozenset(one.lower() for one in settings.setup_private_hosts),
        ),
    )
