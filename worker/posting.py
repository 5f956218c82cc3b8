"""One message to one webhook: signed, to an address that was checked, and with little patience."""

import asyncio
import base64
import hashlib
import hmac
import socket
import ssl
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address

import httpx

from store import targets
from store.errors import BadTarget
from store.targets import Address, Networks, Target
from store.webhooks import Parcel

_MOST_ANSWER_BYTES = 64 * 2**10  # read, so that a receiver may end its answer in peace; more cuts it off
_MOST_ADDRESSES = 3
_MOST_DETAIL = 300


@dataclass(frozen=True)
class Answer:
    """How an attempt ended."""

    status: int | None  # none: there was no answer
    detail: str | None  # why the attempt failed; none: it has not
    seconds: float


class Poster:
    """Sends messages over connections that are used once: no cookie, no redirect, no proxy, nothing decompressed."""

    def __init__(self, *, networks: Networks, timeout_s: float, resolvers: Executor) -> None:
        self._networks, self._timeout_s, self._resolvers = networks, timeout_s, resolvers
        self._transport = httpx.AsyncHTTPTransport(
            verify=httpx.create_ssl_context(),
            trust_env=False,
            # A connection that is kept is known by its address, behind which other hosts may be too.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        )

    async def post(self, parcel: Parcel) -> Answer:
        """Send it; whatever goes wrong is an answer, and none takes longer than the timeout."""
        began_at = time.monotonic()
        status, detail = None, None
        try:
            async with asyncio.timeout(self._timeout_s):
                status = await self._send(parcel)
            if not 200 <= status < 300:
                detail = f"it answered {status}" + ("; redirects are not followed" if 300 <= status < 400 else "")
        except TimeoutError:
            detail = f"no complete answer within {self._timeout_s:g} s"
        except BadTarget as refused:
            detail = f"not sent: {refused}"
        except (httpx.TransportError, OSError, ssl.SSLError) as trouble:
            detail = f"no answer: {str(trouble) or type(trouble).__name__}"
        return Answer(status, detail and detail[:_MOST_DETAIL], time.monotonic() - began_at)

    async def _send(self, parcel: Parcel) -> int:
        target = targets.parse(parcel.url, networks=self._networks)
        addresses = await self._resolve(target)
        if not addresses:
            raise targets.unreachable(target)
        for address in addresses:
            targets.check(address, target, networks=self._networks)
        content = parcel.body.encode()
        headers = {
            "Host": target.host_header,
            "Content-Type": "application/json",
            "User-Agent": "pskd-webhooks",
            **signed(parcel.id, content, parcel.secret, at_s=int(time.time())),
        }
        *others, last = addresses[:_MOST_ADDRESSES]
        for address in others:
            with suppress(httpx.ConnectError):
                return await self._request(target, address, headers, content)
        return await self._request(target, last, headers, content)

    async def _resolve(self, target: Target) -> Sequence[Address]:
        if target.literal is not None:
            return [target.literal]
        return await asyncio.get_running_loop().run_in_executor(self._resolvers, _lookup, target.host, target.port)

    async def _request(self, target: Target, address: Address, headers: dict[str, str], content: bytes) -> int:
        """Connects to this very address; the certificate must still be the host's."""
        url = httpx.URL(scheme=target.scheme, host=str(address), port=target.port, raw_path=target.path.encode())
        patience = httpx.Timeout(self._timeout_s).as_dict()
        name = {} if target.literal is not None else {"sni_hostname": target.host.rstrip(".")}
        request = httpx.Request("POST", url, headers=headers, content=content, extensions={"timeout": patience, **name})
        response = await self._transport.handle_async_request(request)
        try:
            read = 0
            async for chunk in response.aiter_raw():
                read += len(chunk)
                if read > _MOST_ANSWER_BYTES:
                    break
        finally:
            await response.aclose()
        return response.status_code


def signed(message_id: str, content: bytes, secret: str, *, at_s: int) -> dict[str, str]:
    """The headers of Standard Webhooks, by which a receiver knows who sent this, and when."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{message_id}.{at_s}.".encode() + content, hashlib.sha256)
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": message_id, "webhook-timestamp": str(at_s), "webhook-signature": signature}


def _lookup(host: str, port: int) -> list[Address]:
    """All of a host's addresses; none if nobody knows it, now or ever."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror:
        return []
    return list(dict.fromkeys(ip_address(str(entry[4][0])) for entry in found))
