"""Connections that take their time, or are many: uvicorn waits for the head of a request as long as it takes."""

import asyncio
from typing import Any

from starlette.datastructures import Headers
from uvicorn.protocols.http.h11_impl import H11Protocol

from apps.parts import visitors

# Seconds that the head of a request may take, from the connection or the last answer on.
HEAD_SECONDS = 10.0
# Connections in all; a process may have some 1,000 open files, and others need some, too.
CONNECTIONS = 500
# Connections of one address, unless it is a proxy's: whoever has all of them keeps everybody else out.
OF_ADDRESS = 200


class Impatient(H11Protocol):
    """Closes a connection on which no request has begun in time, and those of an address that has many.

    The parser in Python also limits the length of a head, which the one in C does not.
    """

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if self._are_many():
            self.transport.close()
        else:
            self._look(None)

    def _are_many(self) -> bool:
        host = self.client[0] if self.client else ""
        if visitors.speaks_for_many(host):
            return False
        own = visitors.address(host, Headers())
        hosts = [one.client[0] for one in self.connections if isinstance(one, Impatient) and one.client]
        return sum(own == visitors.address(host, Headers()) for host in hosts) > OF_ADDRESS

    def _look(self, last: Any) -> None:
        """Look again later; `last` is the request that was the latest at the last look."""
        if self.transport.is_closing():
            return
        answering = self.cycle is not None and not self.cycle.response_complete
        if self._waiting is not None and not answering and self.cycle is last:
            self.transport.close()
        else:
            self._waiting = self.loop.call_later(HEAD_SECONDS, self._look, self.cycle)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting:
            self._waiting.cancel()
        super().connection_lost(exc)
