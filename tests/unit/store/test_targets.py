"""Which addresses webhooks may reach, and how a URL is taken apart."""

from ipaddress import ip_address, ip_network

import pytest

from store import targets
from store.errors import BadTarget

NONE: tuple[()] = ()


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104 - nothing is bound to it
        "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1",
        "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.168.0.1", "198.18.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1",
        "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a00:1",
        "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "fc00::1", "fd00:ec2::254", "fe80::1",
        "fe80::1%eth0", "fec0::1", "ff02::1", "3fff::1",
    ],
)  # fmt: skip
def test_what_is_not_public_is_refused(address: str) -> None:
    """Loopback, private, shared, link-local, reserved, multicast and every dress of IPv4 inside IPv6."""
    target = targets.parse("https://hooks.example/", networks=NONE)
    with pytest.raises(BadTarget, match="not public") as refused:
        targets.check(ip_address(address), target, networks=NONE)
    assert address not in str(refused.value)


@pytest.mark.parametrize("address", ["93.184.216.34", "1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1"])
def test_what_is_public_passes_by_https_alone(address: str) -> None:
    """The same address by http is refused, unless its network is allowed."""
    targets.check(ip_address(address), targets.parse("https://hooks.example/", networks=NONE), networks=NONE)
    elsewhere = (ip_network("10.0.0.0/8"),)
    plain = targets.parse("http://hooks.example/", networks=elsewhere)
    with pytest.raises(BadTarget, match="use https"):
        targets.check(ip_address(address), plain, networks=elsewhere)
    everything = (ip_network("0.0.0.0/0"), ip_network("::/0"))
    targets.check(ip_address(address), plain, networks=everything)


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "header"),
    [
        ("https://Hooks.Example", "hooks.example", 443, "/", "hooks.example"),
        ("https://hooks.example:443/a?b=c", "hooks.example", 443, "/a?b=c", "hooks.example"),
        ("https://hooks.example:8443?b", "hooks.example", 8443, "/?b", "hooks.example:8443"),
        ("https://xn--mnchen-3ya.example/%2e%2e/", "xn--mnchen-3ya.example", 443, "/%2e%2e/", "xn--mnchen-3ya.example"),
        ("https://[2606:4700::1111]:444/", "2606:4700::1111", 444, "/", "[2606:4700::1111]:444"),
        ("https://0x7f.1/", "0x7f.1", 443, "/", "0x7f.1"),  # a name, until it is looked up
    ],
)
def test_a_url_in_its_parts(url: str, host: str, port: int, path: str, header: str) -> None:
    """Host, port and path are those that the request is made of."""
    target = targets.parse(url, networks=NONE)
    assert (target.host, target.port, target.path, target.host_header) == (host, port, path, header)
