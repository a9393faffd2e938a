"""Small texts with entities whose words the tiny model knows."""

import random
from typing import Any

from tests.conftest import FILLING, WORDS


def weather_reports(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Distinct texts of 5 to 14 words; words of weather and of food in them are entities, two neighbours are one."""
    choose = random.Random(seed)
    rows: dict[str, dict[str, Any]] = {}
    while len(rows) < count:
        words = [(word, None) for word in choose.choices(FILLING, k=choose.randint(3, 10))]
        for label in ("weather", "food")[: choose.randint(0, 2)]:
            at = choose.randint(0, len(words))
            words[at:at] = [(word, label) for word in choose.choices(WORDS[label], k=choose.randint(1, 2))]
        text, spans = "", []
        for word, label in words:
            if label and spans and spans[-1]["label"] == label and spans[-1]["end"] == len(text) - 1:
                spans[-1]["end"] = len(text) + len(word)
            elif label:
                spans.append({"start": len(text), "end": len(text) + len(word), "label": label})
            text += word + " "
        text += str(len(rows))
        rows[text] = {"text": text, "spans": spans}
    return list(rows.values())
