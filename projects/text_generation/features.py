"""Encoded chats as the columns of features."""

from typing import Any

from common.models.chat import Encoded


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
