"""Small questions whose words the tiny model knows."""

import random
from typing import Any

from tests.conftest import FILLING, WORDS

# What asks for which kind of word; no context has these words.
ASKED = {"weather": "drum drum", "food": "piano piano"}


def questions(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Distinct contexts of 9 to 20 words, each with a question for its word of weather or food, which some lack."""
    choose = random.Random(seed)
    rows: dict[str, dict[str, Any]] = {}
    while len(rows) < count:
        words = choose.choices(FILLING, k=choose.randint(8, 18))
        answers = {kind: choose.choice(WORDS[kind]) for kind in ASKED if choose.random() < 0.75}
        for word in answers.values():
            words.insert(choose.randint(0, len(words)), word)
        context = " ".join([*words, str(len(rows))])
        kind = choose.choice(sorted(ASKED))
        word = answers.get(kind)
        found = [{"text": word, "start": f" {context} ".index(f" {word} ")}] if word else []
        rows[context] = {"question": ASKED[kind], "context": context, "answers": found}
    return list(rows.values())
