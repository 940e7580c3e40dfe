"""Which network addresses evidence may be fetched from.

Owns the judgement of one resolved IP address, transition forms decoded. Does not resolve
or connect.
"""

from __future__ import annotations

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_ALWAYS_REFUSED = frozenset(
    ipaddress.ip_address(a)
    for a in (
        "169.254.169.254",  # cloud metadata
        "169.254.170.2",
        "100.100.100.200",
        "168.63.129.16",  # a public address with private meaning
        "192.0.0.192",
        "fd00:ec2::254",
    )
)
_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
_V4_COMPATIBLE = ipaddress.IPv6Network("::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)


def embedded_ipv4(address: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    """The IPv4 addresses that an IPv6 address may lead to: mapped, compatible, 6to4, NAT64,
    Teredo and ISATAP."""
    number = int(address)
    low = ipaddress.IPv4Address(number & 0xFFFFFFFF)
    found: list[ipaddress.IPv4Address] = []
    if address.ipv4_mapped:
        found.append(address.ipv4_mapped)
    if address.sixtofour:
        found.append(address.sixtofour)
    if address.teredo:
        found.extend(address.teredo)
    if any(address in network for network in _NAT64) or (
        address in _V4_COMPATIBLE and number > 0xFFFF
    ):
        found.append(low)
    if (number >> 32) & 0xFFFFFFFF in _ISATAP:
        found.append(low)
    return found


def refusal(address: Address, *, loopback_allowed: bool = False) -> str | None:
    """Why no connection to this address may be made; None when it may.

    `loopback_allowed` admits loopback and nothing else, for a local Wikidata named in the settings.
    """
    if address in _ALWAYS_REFUSED:
        return f"{address} is a cloud metadata address"
    if loopback_allowed and address.is_loopback:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id:
            return f"{address} is scoped to one interface"
        for inner in embedded_ipv4(address):
            if why := refusal(inner):
                return f"{address} leads to {inner}: {why}"
    if address.is_multicast or not address.is_global:
        return f"{address} is not a public address"
    return None
