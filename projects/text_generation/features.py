"""Encoded chats as the columns of features."""

from typing import Any

from common.models.chat import Encoded


def windows(beginning: list[int], rest: list[int], limit: int) -> list[Encoded]:
    """The tokens of a plain text in windows of at most `limit`, each of which begins with the last token before it.

    So every token but the first is learned, once. The `answer` of each is where the rest begins.
    """
    ids, found = beginning + rest, []
    for start in range(0, max(1, len(ids) - 1), limit - 1):
        part = ids[start : start + limit]
        answer = min(max(len(beginning) - start, 0), len(part))
        found.append(Encoded(part, list(range(1, len(part))), answer, beginning[-limit:]))
    return found


def features_of(chats: list[Encoded]) -> dict[str, list[Any]]:
    """Encoded chats as columns."""
    return {
        "input_ids": [one.ids for one in chats],
        "learned": [one.learned for one in chats],
        "answer": [one.answer for one in chats],
        "prompt": [one.prompt for one in chats],
        "cut": [one.cut for one in chats],
        "drifts": [one.drifts for one in chats],
        "length": [len(one.ids) for one in chats],
    }
