"""Who asks: what is shared fairly is shared between addresses."""

import ipaddress
import os
from collections.abc import Mapping

from gradio.context import LocalContext


def address(client: str | None, headers: Mapping[str, str]) -> str:
    """The address that a request comes from: on a Space, whose proxy all visitors share, the one that the proxy saw.

    The proxy appends to `X-Forwarded-For`; what stands before is whatever the visitor wrote. Of an IPv6 address it is
    the network of 64 bits, in which a visitor may choose among all.
    """
    forwarded = headers.get("x-forwarded-for", "") if os.environ.get("SPACE_ID") else ""
    found = forwarded.rpartition(",")[2].strip() or client or ""
    try:
        ip = ipaddress.ip_address(found)
    except ValueError:
        return found
    if isinstance(ip, ipaddress.IPv4Address) or ip.is_loopback:
        return found
    return str(ip.ipv4_mapped or ipaddress.ip_network((int(ip), 64), strict=False))


def visitor() -> str:
    """The address of whoever the running handler answers; empty where nobody is there, as in a test."""
    request = LocalContext.request.get(None)
    if request is None or request.client is None:
        return ""
    return address(request.client.host, request.headers)


def request() -> str:
    """What tells the running handler's request from others of the same visitor."""
    return LocalContext.event_id.get(None) or ""
