"""Who asks: what is shared fairly is shared between addresses."""

import ipaddress
import os

from gradio.context import LocalContext
from starlette.datastructures import Headers


def address(client: str | None, headers: Headers) -> str:
    """The address that a request comes from: on a Space, whose proxy all visitors share, the one that the proxy saw.

    The proxy appends to `X-Forwarded-For`, or adds another; what stands before is whatever the visitor wrote. Of an
    IPv6 address it is the network of 64 bits, in which a visitor may choose among all.
    """
    forwarded = headers.getlist("x-forwarded-for")[-1:] if os.environ.get("SPACE_ID") else []
    found = "".join(forwarded).rpartition(",")[2].strip() or client or ""
    try:
        ip = ipaddress.ip_address(found)
    except ValueError:
        return found
    if isinstance(ip, ipaddress.IPv4Address) or ip.is_loopback:
        return found
    return str(ip.ipv4_mapped or ipaddress.ip_network((int(ip), 64), strict=False))


def speaks_for_many(client: str) -> bool:
    """Whether connections from there may be those of many visitors: a proxy or tunnel on this machine, or a Space's."""
    return bool(os.environ.get("SPACE_ID")) or client in ("127.0.0.1", "::1")


def visitor() -> str:
    """The address of whoever the running handler answers, as the gate found it; empty where nobody is there."""
    request = LocalContext.request.get(None)
    return "" if request is None or request.client is None else str(request.client.host)


def request() -> str:
    """What tells the running handler's request from others of the same visitor."""
    return LocalContext.event_id.get(None) or ""
