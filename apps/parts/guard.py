"""Every error of a handler becomes one sentence: no visitor sees a traceback, the environment or a foreign path."""

import asyncio
import contextlib
import functools
import html
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar, cast

import gradio as gr

from common.system.errors import UserError

logger = logging.getLogger("apps")

Handler = TypeVar("Handler", bound=Callable[..., Awaitable[Any]])


class Refused(Exception):
    """A request that is not let in: its HTTP status and one sentence."""

    def __init__(self, status: int, sentence: str):
        super().__init__(sentence)
        self.status = status


@contextlib.asynccontextmanager
async def answering(seconds: float) -> AsyncIterator[None]:
    """What `guarded` does for a handler, for a part of one: those that stream have to be guarded piece by piece."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except UserError as error:
        # The page shows an error as HTML, and it may quote what a visitor sent.
        raise gr.Error(html.escape(str(error), quote=False), print_exception=False) from None
    except TimeoutError:
        raise gr.Error(
            "This took too long, because many are asking: try again in a minute.", print_exception=False
        ) from None
    except Exception:
        logger.exception("a request failed")
        raise gr.Error(
            "Something went wrong on this side. It is in the owner's log; try another input.", print_exception=False
        ) from None


def guarded(seconds: float) -> Callable[[Handler], Handler]:
    """Turn whatever goes wrong in a handler, or takes longer than `seconds`, into a sentence; the log gets the rest."""

    def guard(function: Handler) -> Handler:
        @functools.wraps(function)
        async def handler(*arguments: Any, **options: Any) -> Any:
            async with answering(seconds):
                return await function(*arguments, **options)

        return cast("Handler", handler)

    return guard
