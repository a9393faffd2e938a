"""Texts with a nearly equal copy of each: what a person would not call a new example."""

import random
from collections.abc import Callable

LENGTHS = (3, 4, 5, 6, 8, 10, 15, 20, 30, 50, 80, 120, 200, 300)


def suffix(words: list[str], chance: random.Random) -> list[str]:
    added = chance.choice(["again", "on Monday", "so far", "really , I think"]).split()
    return words + added[: max(1, len(words) // 3)]


def prefix(words: list[str], chance: random.Random) -> list[str]:
    return [chance.choice(["Well", "Hello", "edit:", "so"]), *words]


def numbered(words: list[str], chance: random.Random) -> list[str]:
    return [*words, f"({chance.randrange(100)})"]


def other_case(words: list[str], chance: random.Random) -> list[str]:
    return [word.upper() if chance.random() < 0.5 else word for word in words] + ["!!"]


def typos(words: list[str], chance: random.Random) -> list[str]:
    """Two neighbouring letters swapped in one word of ten."""
    changed = list(words)
    for place in chance.sample(range(len(words)), max(1, len(words) // 10)):
        word = changed[place]
        at = chance.randrange(max(1, len(word) - 1))
        changed[place] = word[:at] + word[at : at + 2][::-1] + word[at + 2 :]
    return changed


def fewer(words: list[str], chance: random.Random) -> list[str]:
    """One word of fifteen left out; none of a text of less than five."""
    gone = chance.sample(range(len(words)), max(1, len(words) // 15)) if len(words) >= 5 else []
    return [word for place, word in enumerate(words) if place not in gone]


ALTERATIONS: tuple[Callable[[list[str], random.Random], list[str]], ...] = (
    suffix,
    prefix,
    numbered,
    other_case,
    typos,
    fewer,
)


def planted(texts: list[str], seed: int) -> list[str]:
    """A nearly equal copy of each text, each kind of change as often."""
    chance = random.Random(seed)
    return [" ".join(ALTERATIONS[index % len(ALTERATIONS)](text.split(), chance)) for index, text in enumerate(texts)]
