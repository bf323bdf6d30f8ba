"""What the sandboxes stand behind, as the settings say: podman, the recipes, the model gateway, the egress proxy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Final

from mcp_ashigaru.fleet_file import read_fleet
from mcp_ashigaru.presets import Presets
from mcp_ashigaru.settings import ConfigError, Settings, environment_with
from mcp_ashigaru.state_dir import host_label, make_state_dir
from runner.adapters.file_lock import held
from runner.adapters.podman_containers import PodmanContainers
from runner.adapters.podman_home import prepare_podman
from runner.adapters.podman_inside import PodmanInside
from runner.adapters.podman_seccomp import write_profile
from runner.adapters.podman_service import PodmanService
from runner.disk import Disk, DiskLimits
from runner.egress_rules import Egress
from runner.files import remove_tree, write_whole
from runner.fleet import Fleet
from runner.gateway.access import Gateways, egress_alone, gateways, upstream_from
from runner.gateway.metering import Price, PriceTable
from runner.gateway.model_gateway import Credential
from runner.images.build import ensure_images
from runner.ports import Clock, Containers
from runner.recipes import Recipes
from runner.sandbox import Limits, Owner
from runner.seal.looking import Ground
from runner.seal.self_test import clear
from runner.setup_run import Egress as EgressPort
from runner.spending import Spending

_MAX_CA_BYTES: Final = 4 * 1024 * 1024
_SELF_TEST_S: Final = 300.0


def podman_argv(settings: Settings) -> tuple[str, ...]:
    """The command line that reaches the daemon's podman."""
    if settings.podman_url is not None:
        return ("podman", "--remote", "--url", settings.podman_url)
    return prepare_podman(settings.podman_dir).argv


def own_podman(settings: Settings) -> tuple[str, ...]:
    """The command line that reaches a podman which is the daemon's alone; () where it drives somebody else's."""
    return () if settings.podman_url is not None else podman_argv(settings)


def build_images(settings: Settings, progress: Callable[[str], None]) -> None:
    """Have the sandboxes' images in the daemon's podman. Raises SandboxFault, EngineDown."""
    ensure_images(podman_argv(settings), settings.podman_dir, progress)


def podman_containers(settings: Settings, stack: ExitStack) -> PodmanContainers:
    """The daemon's podman, with a service of our own while `stack` is open where the settings name none."""
    # By the plain name: what an older version made is still ours to look after.
    hosts = {host_label(settings.state_dir, settings.host_id), settings.host_id}
    return PodmanContainers(_podman_url(settings, stack), hosts=hosts, seccomp=write_profile(settings.state_dir))


def _podman_url(settings: Settings, stack: ExitStack) -> str:
    return settings.podman_url or stack.enter_context(PodmanService(settings.podman_dir)).url


@contextmanager
def ground_here(settings: Settings) -> Iterator[Ground]:
    """Where this host's sandboxes are looked at from inside, as the daemon would make them; then nothing is left of it.

    One at a time on one podman; what an earlier one left is cleared away first. Raises ImageMissing, EngineDown, and
    CheckoutFault where another is under way for long.
    """
    make_state_dir(settings.state_dir)
    home = settings.state_dir / "self-test"
    with ExitStack() as stack:
        stack.enter_context(held(settings.podman_dir / "self-test.lock", timeout_s=_SELF_TEST_S))
        remove_tree(home)
        make_state_dir(home)
        stack.callback(remove_tree, home)
        url = _podman_url(settings, stack)
        containers = PodmanContainers(url, seccomp=write_profile(settings.state_dir))
        ground = Ground(
            containers=containers,
            inside=PodmanInside(url),
            home=home,
            agent_image=containers.image_id(settings.agent_image),
            relay_image=containers.image_id(settings.relay_image),
            gate_image=containers.image_id(settings.gate_image),
            # A host of its own: no daemon takes these sandboxes for a run's.
            owner=Owner(run_id="self-test", attempt=1, host="self-test"),
            limits=_limits(settings, settings.gate_memory),
        )
        clear(ground)
        yield ground


def recipes_of(settings: Settings, containers: Containers) -> Recipes:
    """How sandboxes are made, as the settings say."""
    return Recipes(
        image_id=containers.image_id,
        host=host_label(settings.state_dir, settings.host_id),
        agent_image=settings.agent_image,
        relay_image=settings.relay_image,
        gate_image=settings.gate_image,
        agent_limits=_limits(settings, settings.agent_memory),
        gate_limits=_limits(settings, settings.gate_memory),
        hold_s=settings.relay_hold_s,
        setup_environment=tuple(sorted(settings.setup_environment.items())),
        ca_bundle=_own_ca_bundle(settings),
    )


def _own_ca_bundle(settings: Settings) -> Path | None:
    """A copy of the operator's certificates in a directory that holds nothing else, to be shown to set-ups.

    Raises ConfigError.
    """
    named = settings.setup_ca_bundle
    if named is None:
        return None
    try:
        data = named.read_bytes() if named.is_file() and named.stat().st_size <= _MAX_CA_BYTES else b""
    except OSError as exc:
        raise ConfigError("ASHIGARU_SETUP_CA_BUNDLE names a file that cannot be read; correct its mode.") from exc
    if b"-----BEGIN CERTIFICATE-----" not in data or b"PRIVATE KEY-----" in data:
        raise ConfigError(
            "ASHIGARU_SETUP_CA_BUNDLE must name a PEM file that holds certificates and no key; correct the path."
        )
    own = settings.state_dir / "ca" / "ca-certificates.crt"
    write_whole(own, data)
    return own


def fleet_of(settings: Settings) -> Fleet:
    """The rules for each repository, with the presets looked up on this host. Raises ConfigError."""
    return read_fleet(settings).fleet(Presets.of(environment_with({})).targets)


def _limits(settings: Settings, memory: int) -> Limits:
    return Limits(memory=memory, pids=settings.sandbox_pids, cpus=settings.sandbox_cpus, file=settings.sandbox_disk)


def disk_of(settings: Settings, clock: Clock, relief: Callable[[], str] | None = None) -> Disk:
    """What may be written to the host's disk, as the settings say. relief: see `Disk`."""
    limits = DiskLimits(written=settings.sandbox_disk, entries=settings.sandbox_files, floor=settings.disk_floor)
    return Disk(state_dir=settings.state_dir, clock=clock, limits=limits, relief=relief)


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
        # Every set-up brings its repository's own rules; one that did not would go nowhere.
        egress=Egress(),
    )


def egress_of() -> AbstractContextManager[EgressPort]:
    """The egress proxy alone, where no model is asked."""
    return egress_alone(Egress())
