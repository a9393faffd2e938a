"""What is looked at closely: names that training never saw, long ones, texts without any; and harmless changes."""

from collections.abc import Callable
from typing import Any

import numpy as np
from datasets import Dataset

from common.evaluation.records import groups_of
from common.metrics import spans
from common.metrics.intervals import FEWEST_GROUPS, Bootstrap

from .entities import Entity, known, scored, surface_hash

# Share of a text's words, outside of entities, that get a typing error.
TYPOS = 0.1
# A kind of entity: whether one, in its text, belongs to it.
Kind = Callable[[str, Entity], bool]


def by_entities(rows: Dataset, seen: set[str]) -> dict[str, list[str | None]]:
    """By whether a text's names are all known from training, and by its length in words."""
    found = [
        _novelty(text, known(entities), seen) for text, entities in zip(rows["text"], rows["reference"], strict=True)
    ]
    return {"names in the text": found}


def _novelty(text: str, entities: list[Entity], seen: set[str]) -> str | None:
    if not entities:
        return None
    new = [surface_hash(text, entity) not in seen for entity in entities]
    return "all new" if all(new) else "some new" if any(new) else "all seen in training"


def entity_sections(records: list[dict[str, Any]], types: list[str], seen: set[str], seed: int) -> dict[str, Any]:
    """`entities`: the scores of kinds of entities; `false_alarms`: what is found in texts without any."""
    kinds: dict[str, dict[str, Kind]] = {
        "type": {name: _of_type(name) for name in types},
        "name": {
            "seen in training": lambda text, entity: surface_hash(text, entity) in seen,
            "new": lambda text, entity: surface_hash(text, entity) not in seen,
        },
        "words": {
            "1": lambda text, entity: _words(text, entity) == 1,
            "2": lambda text, entity: _words(text, entity) == 2,
            "3 or more": lambda text, entity: _words(text, entity) > 2,
        },
        "first letter": {
            "capital": lambda text, entity: text[entity["start"]].isupper(),
            "other": lambda text, entity: not text[entity["start"]].isupper(),
        },
    }
    rows = [
        {"kind": kind, "value": value, **_scores(records, belongs, types, seed)}
        for kind, values in kinds.items()
        for value, belongs in values.items()
    ]
    return {
        "entities": {"rows": [row for row in rows if row["true"] or row["predicted"]]},
        "false_alarms": _alarms(records),
    }


def _of_type(name: str) -> Kind:
    return lambda _, entity: bool(entity["label"] == name)


def _words(text: str, entity: Entity) -> int:
    return len(text[entity["start"] : entity["end"]].split())


def _scores(records: list[dict[str, Any]], belongs: Kind, types: list[str], seed: int) -> dict[str, Any]:
    """Counts and scores of the entities of one kind: predicted ones of that kind against true ones of it."""

    def kept(record: dict[str, Any], entities: list[Entity]) -> list[spans.Span]:
        return [
            (entity["start"], entity["end"], types.index(entity["label"]))
            for entity in scored(entities, record["reference"])
            if belongs(record["input"], entity)
        ]

    true = [kept(record, known(record["reference"])) for record in records]
    statistics = spans.counts([kept(record, record["prediction"]["value"]) for record in records], true, len(types))
    sums = statistics.sum(axis=0).reshape(-1, 3).sum(axis=0)
    groups = groups_of(records)
    found: dict[str, Any] = {"true": int(sums[2]), "predicted": int(sums[1]), "right": int(sums[0])}
    holding = {group for group, of_row in zip(groups.tolist(), true, strict=True) if of_row}
    if len(holding) >= FEWEST_GROUPS:
        found["metrics"] = Bootstrap(groups, seed).intervals(statistics, spans.score, {"f1", "precision", "recall"})
        found["baseline_f1"] = {}
        for name in records[0]["baselines"]:
            theirs = [kept(record, record["baselines"][name]["value"]) for record in records]
            score = spans.score(spans.counts(theirs, true, len(types)).sum(axis=0))
            found["baseline_f1"][name] = float(score["f1"])
    return found


def _alarms(records: list[dict[str, Any]]) -> dict[str, Any]:
    """How many texts have no entity, and how many entities are found in them all the same."""
    empty = [record for record in records if not record["reference"]]
    found = [len(record["prediction"]["value"]) for record in empty]
    alarms = sum(found)
    return {
        "texts": len(empty),
        "alarms": alarms,
        "texts_with_alarm": sum(count > 0 for count in found),
        "per_100": 100 * alarms / len(empty) if empty else None,
    }


def perturbed(rows: Dataset, seed: int) -> dict[str, list[Any]]:
    """The texts in lower case, and with typing errors outside of the entities; no character moves.

    What changes none of the texts is left out.
    """
    random = np.random.default_rng(seed)
    pairs = list(zip(rows["text"], rows["reference"], strict=True))
    every = {
        "lower case": [_lower(text) for text, _ in pairs],
        f"typos in {TYPOS:.0%} of the other words": [_with_typos(text, entities, random) for text, entities in pairs],
    }
    return {name: changed for name, changed in every.items() if changed != list(rows["text"])}


def _lower(text: str) -> str:
    """Small letters, but for those whose small form is longer: the places of the entities stay."""
    return "".join(letter.lower() if len(letter.lower()) == 1 else letter for letter in text)


def _with_typos(text: str, entities: list[Entity], random: np.random.Generator) -> str:
    """Swap two neighbouring letters in some of the words of at least three letters that belong to no entity."""
    words, position = [], 0
    for word in text.split(" "):
        end = position + len(word)
        if len(word) >= 3 and all(end <= entity["start"] or entity["end"] <= position for entity in entities):
            words.append(position)
        position = end + 1
    letters = list(text)
    if words:
        for start in random.choice(words, size=max(1, round(TYPOS * len(words))), replace=False):
            end = text.find(" ", start)
            at = int(start) + int(random.integers((end if end >= 0 else len(text)) - start - 1))
            letters[at], letters[at + 1] = letters[at + 1], letters[at]
    return "".join(letters)
