"""Documents with a sentence in each that says what they are about, and a summary of it."""

import json
import random
from pathlib import Path

from tests.conftest import FILLING, WORDS

# A single letter before a full stop would be taken for a name's.
WORDS_BETWEEN = [word for word in FILLING if len(word) > 1]


def documents(count: int = 240, seed: int = 0) -> list[dict[str, str]]:
    """Distinct documents of three sentences; the one with two words of a kind is the summary, but for its case."""
    choose = random.Random(seed)
    rows: dict[str, dict[str, str]] = {}
    while len(rows) < count:
        telling = " ".join([*choose.sample(choose.choice(list(WORDS.values())), 2), choose.choice(WORDS_BETWEEN)])
        sentences = [" ".join(choose.sample(WORDS_BETWEEN, 4)) for _ in range(2)]
        sentences.insert(choose.randrange(3), telling)
        document = " ".join(f"{one.capitalize()}." for one in sentences)
        rows[document] = {"document": document, "summary": telling}
    return list(rows.values())


def write_jsonl(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
