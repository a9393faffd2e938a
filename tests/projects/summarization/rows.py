"""Documents with a sentence in each that says what they are about, and a summary of it."""

import json
import random
from pathlib import Path

from tests.conftest import FILLING, WORDS


def documents(count: int = 240, seed: int = 0) -> list[dict[str, str]]:
    """Distinct documents of three sentences; the one with two words of a kind is the summary, but for its case."""
    choose = random.Random(seed)
    rows: dict[str, dict[str, str]] = {}
    while len(rows) < count:
        telling = " ".join([*choose.sample(choose.choice(list(WORDS.values())), 2), choose.choice(FILLING)])
        sentences = [" ".join(choose.sample(FILLING, 4)) for _ in range(2)]
        sentences.insert(choose.randrange(3), telling)
        document = " ".join(f"{one.capitalize()}." for one in sentences)
        rows[document] = {"document": document, "summary": telling}
    return list(rows.values())


def write_jsonl(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
