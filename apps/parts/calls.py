"""What asks a function of the page: its body, the function, and how much one visitor asks at once."""

import asyncio
import collections
import contextlib
import functools
import json
import re
from collections.abc import Iterator
from typing import Any

import gradio as gr
from gradio.route_utils import API_PREFIX
from starlette.datastructures import Headers

from apps.parts.guard import Refused
from apps.parts.inputs import LIMITS

# The page calls by number, and what needs no queue directly; programs call by name, with a list or named arguments.
JOIN, RUN = f"{API_PREFIX}/queue/join", f"{API_PREFIX}/run/{{api_name}}"
CALL, NAMED = f"{API_PREFIX}/call/{{api_name}}", f"{API_PREFIX}/call/v2/{{api_name}}"
# Bytes of a body: 100 uploads take half of it.
BODY = 64 * 1024
# Bytes of a character, as JSON may write it: an emoji is \\uXXXX twice.
CHARACTER = 12
# Seconds that a body may take to arrive.
BODY_SECONDS = 20.0
# Characters of a session's name, and which: Gradio counts by them, and fails at some.
SESSION = 64
SESSION_NAME = re.compile(rf"[\w.=+-]{{1,{SESSION}}}", re.ASCII)
# What JSON is sent as.
JSON = re.compile(r"application/([^;]+\+)?json *(;.*)?", re.IGNORECASE)
# Requests of one address that are not answered yet, and those with the ones whose answers nobody fetched.
WAITING, UNFETCHED = 40, 200


class Calls:
    """The calls of a page's functions."""

    def __init__(self, blocks: gr.Blocks):
        self.blocks = blocks
        self.joining: collections.Counter[str] = collections.Counter()
        self.idle: set[str] = set()
        self.askers: dict[str, str] = {}  # {event: address}
        self.push = blocks._queue.push
        blocks._queue.push = self._noted  # type: ignore[method-assign]

    async def _noted(self, body: Any, request: Any, username: str | None) -> Any:
        """Take a call into Gradio's queue, and remember whose it is."""
        taken = await self.push(body=body, request=request, username=username)
        if taken[0]:
            self.askers[str(taken[1])] = request.client.host if request.client else ""
        return taken

    @property
    def largest(self) -> int:
        """Bytes of the largest body that any function takes."""
        return max((body_bytes(function) for function in self.blocks.fns.values()), default=BODY)

    @contextlib.contextmanager
    def turn(self, address: str) -> Iterator[None]:
        """Count a call while Gradio takes it in.  Raises Refused where its address has asked much already."""
        self._drop_fetched()
        queue = self.blocks._queue
        unanswered = set(queue.event_ids_to_events).union(*queue.pending_event_ids_session.values())
        self.askers = {event: asker for event, asker in self.askers.items() if event in unanswered}
        own = [event for event, asker in self.askers.items() if asker == address]
        if len(own) >= UNFETCHED:
            raise Refused(429, "There are many answers that you have not fetched: fetch them first.")
        unfinished = sum(event in queue.event_ids_to_events for event in own)
        sentence = "You have asked much at once: wait for your answers."
        with counted(self.joining, address, WAITING - unfinished, sentence):
            yield

    def _drop_fetched(self) -> None:
        """Forget sessions that are gone or wait for nothing: Gradio keeps the last 2,000, whosever they are."""
        queue = self.blocks._queue
        pending, messages = queue.pending_event_ids_session, queue.pending_messages_per_session
        busy = {event.session_hash for event in queue.event_ids_to_events.values()}
        for session in {*messages, *pending} - busy:
            if session not in messages or not pending.get(session):
                messages.pop(session, None)
                pending.pop(session, None)

    def check_waiting(self, session: str | None, event: str | None) -> None:
        """Raise Refused where there is no answer to wait for, in this session or to this event."""
        queue = self.blocks._queue
        waiting = (ids for ids in queue.pending_event_ids_session.values())
        if session not in queue.pending_messages_per_session and not any(event in ids for ids in waiting):
            raise Refused(404, "There is no answer to wait for: ask first, and fetch the answer once.")

    def check(self, route: str, name: str | None, headers: Headers, body: bytes) -> None:
        """Raise Refused for what Gradio would fail at: no such function, other inputs, an odd name of a session."""
        if not JSON.fullmatch(headers.get("content-type", "")):
            raise Refused(415, "A request is JSON: send it with the header `content-type: application/json`.")
        try:
            asked = json.loads(body)
        except (ValueError, RecursionError):
            raise Refused(400, "The request holds no JSON.") from None
        if not isinstance(asked, dict):
            raise Refused(400, 'The request holds no JSON object, such as {"data": ["a text"]}.')
        numbered = route in (JOIN, RUN)
        function = self.function(asked.get("fn_index")) if numbered else self.endpoint(name)
        check_size(body, body_bytes(function))
        if route == NAMED:
            self._check_names(str(name), asked)
        else:
            self._check_session(asked.get("session_hash"), needed=numbered)
            self._check_data(asked.get("data"), function)

    def function(self, number: Any) -> Any:
        """The function of that number; what runs in the browser alone is none."""
        known = isinstance(number, int) and not isinstance(number, bool) and number in self.blocks.fns
        if not known or self.blocks.fns[number].fn is None:
            raise Refused(400, "There is no function of this number: load the page again.")
        return self.blocks.fns[number]

    def endpoint(self, name: str | None) -> Any:
        """The function of that name."""
        named = {one.api_name: one for one in self.blocks.fns.values() if one.api_visibility != "private"}
        if name not in named:
            known = ", ".join(f"/{known}" for known in named) or "none"
            raise Refused(400, f"There is no such endpoint; there are {known}.")
        return named[name]

    def _check_session(self, session: Any, needed: bool) -> None:
        if session is None and not needed:
            return
        if not isinstance(session, str) or not SESSION_NAME.fullmatch(session):
            letters = "letters, digits and -_.=+"
            raise Refused(400, f"The session's name has to be a text of 1 to {SESSION} characters: {letters}.")

    def _check_data(self, data: Any, function: Any) -> None:
        """Programs leave out what the page alone knows."""
        wanted = {len(function.inputs), sum(not block.skip_api for block in function.inputs)}
        if not isinstance(data, list) or len(data) not in wanted:
            came = f"{len(data):,} came" if isinstance(data, list) else "none came"
            raise Refused(400, f"This function takes a list of {max(wanted)} inputs as `data`, and {came}.")

    def _check_names(self, name: str, asked: dict[str, Any]) -> None:
        parameters = self.endpoints[f"/{name}"]["parameters"]
        known = {str(parameter["parameter_name"]) for parameter in parameters}
        needed = {str(one["parameter_name"]) for one in parameters if not one["parameter_has_default"]}
        if asked.keys() - known or needed - asked.keys():
            raise Refused(400, f"This endpoint takes {', '.join(sorted(known))}.")

    @functools.cached_property
    def endpoints(self) -> dict[str, Any]:
        """{/name: what it takes and gives}, which Gradio finds out anew each time."""
        endpoints: dict[str, Any] = self.blocks.get_api_info()["named_endpoints"]
        return endpoints

    def forget(self) -> None:
        """Drop the answers of sessions that were waiting for nothing at the last call already."""
        queue = self.blocks._queue
        busy = {event.session_hash for event in queue.event_ids_to_events.values()}
        idle = {*queue.pending_messages_per_session, *queue.pending_event_ids_session} - busy
        for session in idle & self.idle:
            queue.pending_messages_per_session.pop(session, None)
            queue.pending_event_ids_session.pop(session, None)
        self.idle = idle


def body_bytes(function: Any) -> int:
    """The largest body of a function's requests: each input may be a text, or a drawing, which is no longer."""
    return BODY + CHARACTER * LIMITS.characters * len(function.inputs)


def check_size(body: bytes | bytearray, largest: int) -> None:
    """Raise Refused for a body of more bytes than that."""
    if len(body) > largest:
        raise Refused(413, "The request is too large.")


async def whole_body(receive: Any, headers: Headers, largest: int) -> bytes:
    """The body of a request.  Raises Refused where it is too large, or takes too long."""
    stated = headers.get("content-length", "0")
    if not stated.isdigit() or int(stated) > largest:
        raise Refused(413, "The request is too large.")
    body, more = bytearray(), True
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while more:
                message = await receive()
                body += message.get("body", b"")
                check_size(body, largest)
                more = message.get("more_body", False)
    except TimeoutError:
        raise Refused(408, "The request took too long to arrive.") from None
    return bytes(body)


def replayed(body: bytes, receive: Any) -> Any:
    """A `receive` that gives the body first, although it was read already."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Any:
        return messages.pop() if messages else await receive()

    return again


@contextlib.contextmanager
def counted(counter: "collections.Counter[str]", key: str, most: int, sentence: str) -> Iterator[None]:
    """Count a request while it lasts.  Raises Refused with the sentence where there are `most` of this key."""
    if counter[key] >= most:
        raise Refused(429, sentence)
    counter[key] += 1
    try:
        yield
    finally:
        counter[key] -= 1
        if not counter[key]:
            del counter[key]
