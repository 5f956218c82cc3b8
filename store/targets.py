"""Where webhooks may be sent: to public addresses by https, and to networks that the operator allows.

Whoever makes a webhook has this service connect where they say. So the URL is checked when it is given, and every
address that its host resolves to is checked each time before anything connects to it.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from store.errors import BadTarget

Address = IPv4Address | IPv6Address
Networks = Collection[IPv4Network | IPv6Network]

MOST_LETTERS = 2000
_LETTERS = re.compile(r"[!-~]+")  # what urlsplit would drop in silence is refused before
_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
_UNICAST = IPv6Network("2000::/3")  # all of IPv6 that is given out
# Of that: what leads to the IPv4 address inside it, and what is for documents.
_NOT_PUBLIC = (IPv6Network("2002::/16"), IPv6Network("3fff::/20"))
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True)
class Target:
    """A URL in the parts that a request is made of, so that nobody reads it a second time and otherwise."""

    scheme: Literal["http", "https"]
    host: str  # a name, or an address without brackets
    port: int
    path: str  # with its query

    @property
    def literal(self) -> Address | None:
        """The host, if it is an address."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None

    @property
    def host_header(self) -> str:
        """As the request names the host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def parse(url: str, *, networks: Networks) -> Target:
    """The parts of a URL to which webhooks may be sent, as far as the URL itself tells.

    Raises:
        BadTarget: with what to change.
    """
    if len(url) > MOST_LETTERS or not _LETTERS.fullmatch(url):
        raise BadTarget(f"a URL has at most {MOST_LETTERS} letters, all of them visible ASCII")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as wrong:
        raise BadTarget(f"it cannot be read as a URL: {wrong}") from None
    target = Target(_scheme(parts, networks), host, port or _PORTS[parts.scheme], _path(parts))
    literal = target.literal
    if literal is None and not _NAME.fullmatch(host):
        raise BadTarget("it names no host; write https://host/path, and other than ASCII names as xn--…")
    if port == 0:
        raise BadTarget("port 0 is none that anybody listens on")
    if literal is not None:
        check(literal, target, networks=networks)
    return target


def check(address: Address, target: Target, *, networks: Networks) -> None:
    """Refuses an address that may not be connected to for this target.

    Raises:
        BadTarget: it is neither public nor of a network that the operator allows; it does not name the address, which
            is nothing that a tenant should learn of the network around the service.
    """
    address = _plain(address)
    if any(address in network for network in networks):
        return
    if target.scheme != "https" or not _is_public(address):
        raise unreachable(target)


def unreachable(target: Target) -> BadTarget:
    """That there is no address to connect to for this target; the same whether there is none at all or one inside."""
    if target.scheme != "https":
        return BadTarget("http goes only to networks that the operator allows (PSKD_WEBHOOK_NETWORKS); use https")
    return BadTarget(
        "its host has no address, or one that is not public and in no network that the operator allows "
        "(PSKD_WEBHOOK_NETWORKS)"
    )


def _scheme(parts: SplitResult, networks: Networks) -> Literal["http", "https"]:
    if "@" in parts.netloc:
        raise BadTarget("it holds a name or password; the signature proves who sends, so leave them out")
    if parts.fragment:
        raise BadTarget("what follows # is never sent; leave it out")
    if parts.scheme == "https":
        return "https"
    if parts.scheme == "http" and networks:
        return "http"
    raise BadTarget("it must begin with https://")


def _path(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _plain(address: Address) -> Address:
    """An IPv4 address that is dressed as IPv6 undressed."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and (
        address not in _UNICAST or any(address in network for network in _NOT_PUBLIC)
    ):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved
