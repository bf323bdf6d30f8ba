"""Where a set-up may go, and to which addresses. Pure: names in, decisions out."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final, TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_GLOBAL_V6: Final = ipaddress.ip_network("2000::/3")
# Where clouds keep what a machine may do; the last ones are not even private addresses.
_METADATA: Final = frozenset(
    map(
        ipaddress.ip_address,
        (
            *("169.254.169.254", "169.254.170.2", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254"),
            *("100.100.100.200", "192.0.0.192", "168.63.129.16"),
        ),
    )
)


@dataclass(frozen=True, kw_only=True)
class Egress:
    """Where a set-up may go: exact `host:port` pairs, in lower case.

    private_hosts: names, in lower case, that may resolve to this host's loopback or to a private network.
    """

    allowed: frozenset[str] = frozenset()
    private_hosts: frozenset[str] = frozenset()

    def admits(self, host: str, port: int) -> bool:
        """Whether that very host and port is named."""
        return f"{plain_host(host)}:{port}" in self.allowed

    def admits_address(self, host: str, address: str) -> bool:
        """Whether what the name resolved to may be dialled: public, or private where the operator said so.

        Link-local addresses and those of clouds' metadata are never dialled: machines' credentials are kept there.
        """
        where = _innermost(ipaddress.ip_address(address.partition("%")[0]))
        if where.is_link_local or where.is_multicast or where.is_unspecified or where in _METADATA:
            return False
        if isinstance(where, ipaddress.IPv4Address):
            return where.is_global or plain_host(host) in self.private_hosts
        if where in _GLOBAL_V6 and where.is_global:
            return True
        # What is neither global unicast nor private is nothing that a mirror could have: old forms of IPv4 among it.
        return (where.is_loopback or where.is_private) and plain_host(host) in self.private_hosts


def plain_host(host: str) -> str:
    """The name as it is compared: in lower case, without the root's dot."""
    return host.lower().removesuffix(".")


def is_host(host: str) -> bool:
    """Whether this is a host's name: no address in any spelling, nothing that a resolver could take for one."""
    labels = host.removesuffix(".").split(".")
    named = all(
        0 < len(label) <= 63 and label.replace("-", "").replace("_", "").isalnum() and label[0] != "-"
        for label in labels
    )
    # What looks like a number is taken for an IPv4 address by some resolvers: 127.1, 2130706433, 0x7f000001.
    return named and host.isascii() and not labels[-1][:1].isdigit() and len(host) <= 253


def host_and_port(text: str) -> tuple[str, int] | None:
    """The two of a `host:port`; None for anything else, for an address in the place of a name too."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or len(port) > 5 or not 0 < int(port) < 65536:
        return None
    return (host.lower(), int(port)) if is_host(host) else None


def _innermost(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, where it stands for one."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else address
