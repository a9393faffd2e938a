"""Entities as they are written in rows: character spans of a text, made from tags or as they were given."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from common.data.looks import is_blank
from common.data.tables import RowProblem
from common.data.texts import as_written, from_json
from common.metrics.spans import Span
from common.task.contract import Prediction

Entity = dict[str, Any]  # start and end (characters, end excluded), label; a label of None: not known, not scored

# The tag of a word whose tag is not known: PyTorch's loss leaves it out.
IGNORED = -100
# The prefixes of IOB1, IOB2, BIOES and BILOU, and what each does to the entity before it.
BEGINS, CONTINUES, ENDS = "BSU", "IEL", "ESLU"


def from_tags(tokens: Any, tags: Any) -> dict[str, Any]:
    """A text, its tokens joined by single blanks, with the entities that the tags of one of four schemes mark.

    An I that continues nothing begins an entity, as IOB1 has it; a tag without a prefix (IO) is one of a run.
    Raises RowProblem.
    """
    if not isinstance(tokens, list) or not isinstance(tags, list) or not tokens:
        raise RowProblem("tokens and tags that are not two lists (give one tag for each token)")
    if len(tokens) != len(tags):
        raise RowProblem("more tokens than tags, or fewer (give one tag for each token)")
    if not all(isinstance(token, str) and token and not any(map(str.isspace, token)) for token in tokens):
        raise RowProblem("an empty token, or one with a blank (remove it with its tag)")
    starts, position = [], 0
    for token in tokens:
        starts.append(position)
        position += len(token) + 1
    entities: list[Entity] = []
    is_open = False
    for start, token, tag in zip(starts, tokens, tags, strict=True):
        prefix, label = parts_of(tag)
        if label is None:
            is_open = False
            continue
        end = start + len(token)
        if is_open and prefix in CONTINUES and entities[-1]["label"] == label:
            entities[-1]["end"] = end
        else:
            entities.append({"start": start, "end": end, "label": label})
        is_open = prefix not in ENDS
    return {"text": " ".join(tokens), "reference": entities}


def parts_of(tag: Any) -> tuple[str, str | None]:
    """Prefix and label of a tag: `B-city` is B and city, `city` is I and city, O has no label.  Raises RowProblem."""
    if not isinstance(tag, str) or is_blank(tag):
        raise RowProblem("an empty tag, or one that is no text (write O where there is no entity)")
    if tag in ("O", "o"):
        return "O", None
    prefix, hyphen, label = tag.partition("-")
    if hyphen and prefix in BEGINS + CONTINUES:
        if not label:
            raise RowProblem(f"a tag without a label ({tag!r})")
        return prefix, label
    if tag in tuple(BEGINS + CONTINUES):
        raise RowProblem(f"a tag without a label ({tag!r})")
    return "I", tag


def from_spans(text: Any, spans: Any) -> dict[str, Any]:
    """A text with its entities, in their order.

    Raises RowProblem where a span lies outside the text, is empty, or overlaps another.
    """
    text = as_written(text, "text", "--text_column")
    spans = [] if spans == "" else from_json(spans)
    if not isinstance(spans, list):
        raise RowProblem("spans that are no list (write [{start, end, label}, ...])")
    entities = sorted((_entity(text, span) for span in spans), key=lambda entity: (entity["start"], entity["end"]))
    for one, other in pairwise(entities):
        if other["start"] < one["end"]:
            raise RowProblem("spans that overlap (give each word one label)")
    return {"text": text, "reference": entities}


def _entity(text: str, span: Any) -> Entity:
    if isinstance(span, list | tuple) and len(span) == 3:
        span = dict(zip(("start", "end", "label"), span, strict=True))
    if not isinstance(span, dict) or not {"start", "end", "label"} <= span.keys():
        raise RowProblem("a span without start, end and label")
    start, end, label = span["start"], span["end"], span["label"]
    if not all(isinstance(value, int) and not isinstance(value, bool) for value in (start, end)):
        raise RowProblem("a span whose start or end is no whole number")
    if not 0 <= start < end <= len(text):
        raise RowProblem("a span that is empty or lies outside of its text (count characters from 0, the end excluded)")
    if label is not None and (not isinstance(label, str) or is_blank(label)):
        raise RowProblem("a span with an empty label")
    if text[start:end] != text[start:end].strip():
        raise RowProblem("a span that begins or ends with a blank (leave it out)")
    return {"start": start, "end": end, "label": label}


def known(entities: Sequence[Entity]) -> list[Entity]:
    """Those with a label."""
    return [entity for entity in entities if entity["label"] is not None]


def scored(entities: Sequence[Entity], reference: Sequence[Entity]) -> list[Entity]:
    """Those that touch no part of the text whose label is not known."""
    unknown = [entity for entity in reference if entity["label"] is None]
    return [
        entity
        for entity in entities
        if all(entity["end"] <= other["start"] or other["end"] <= entity["start"] for other in unknown)
    ]


def widened(text: str, entities: Sequence[Entity]) -> list[Entity]:
    """The entities over the whole words, from blank to blank, that they touch; of several in a word the first."""
    words = np.asarray([match.span() for match in re.finditer(r"\S+", text)], dtype=np.int64).reshape(-1, 2)
    starts, ends = words[:, 0], words[:, 1]
    found: list[Entity] = []
    for entity in entities:
        start = int(starts[np.searchsorted(starts, entity["start"], side="right") - 1])
        end = int(ends[np.searchsorted(ends, entity["end"], side="left")])
        if not found or found[-1]["end"] <= start:
            found.append({**entity, "start": start, "end": end})
    return found


def take_whole_words(text: str, entities: Sequence[Entity]) -> bool:
    """Whether each entity begins and ends at a blank or an edge of the text, as those of CoNLL files do."""
    return widened(text, entities) == list(entities)


def answer(text: str, entities: list[Entity], details: dict[str, Any] | None = None) -> Prediction:
    """The answer of a model or a baseline; its details have the `whole_words` where these are other entities."""
    whole = widened(text, entities)
    return Prediction(entities, details={**(details or {}), **({} if whole == entities else {"whole_words": whole})})


def surface_hash(text: str, entity: Entity) -> str:
    """What a run keeps of a name in its training rows: enough to know it again in any case, not to read it."""
    name = text[entity["start"] : entity["end"]].casefold()
    return f"{crc32(name.encode('utf-8', 'surrogatepass')):08x}"


def entities_at(words: NDArray[np.int64], found: Sequence[Span], types: Sequence[str]) -> list[Entity]:
    """Spans of words as entities of a text, given the (words, 2) character spans of its words."""
    return [
        {"start": int(words[first, 0]), "end": int(words[last - 1, 1]), "label": types[kind]}
        for first, last, kind in found
    ]


def tags_at(words: Any, reference: Sequence[Entity], types: Sequence[str]) -> tuple[list[int], int]:
    """The tag of each word, `IGNORED` where none is known, given the (words, 2) character spans of the words.

    Also how many entities begin or end within a word, or have no word at all.
    """
    starts, ends = np.asarray(words, dtype=np.int64).reshape(-1, 2).T
    tags = np.zeros(len(starts), np.int64)
    cut = 0
    for entity in reference:
        inside = np.flatnonzero((starts < entity["end"]) & (ends > entity["start"]))
        if entity["label"] is None:
            tags[inside] = IGNORED
        elif not len(inside):
            cut += 1
        else:
            tags[inside] = 2 * types.index(entity["label"]) + 2
            tags[inside[0]] -= 1
            cut += bool(starts[inside[0]] < entity["start"] or ends[inside[-1]] > entity["end"])
    return tags.tolist(), cut
