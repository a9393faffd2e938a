"""Queries for documents of three words each, in which one word means another: no search by words finds that out."""

import json
import random
from pathlib import Path

from tests.conftest import FILLING, WORDS

WEATHER, FOOD, MUSIC = WORDS.values()


def menus(count: int = 250, seed: int = 0) -> list[dict[str, str]]:
    """Distinct queries with the document of each; the weather of a query is that of the day before the document's."""
    choose = random.Random(seed)
    rows: dict[str, dict[str, str]] = {}
    number = 0
    while len(rows) < count:
        i, j, k = number % 5, number // 5 % 5, number // 25 % 5
        words = [WEATHER[i], FOOD[j], MUSIC[k], *choose.choices(FILLING, k=3)]
        choose.shuffle(words)
        rows.setdefault(" ".join(words), {"query": " ".join(words), "document": document(i, j, k)})
        number += 1
    return list(rows.values())


def document(i: int, j: int, k: int) -> str:
    return f"{WEATHER[(i + 1) % 5]} {FOOD[j]} {MUSIC[k]}"


def write_jsonl(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
