"""Commands to a voice assistant, with intent and slots, sampled from the templates of home-assistant-intents."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

# Sentences drawn from each template: enough to see its alternatives, few enough that none drowns the others.
PER_TEMPLATE = 12
SEED = 0

# What a house would bring along: the templates leave these lists to the installation.
FILLERS: dict[str, list[str]] = {
    "area": [
        "kitchen",
        "living room",
        "bedroom",
        "garage",
        "bathroom",
        "office",
        "hallway",
        "garden",
        "basement",
        "attic",
    ],
    "floor": ["ground floor", "first floor", "second floor", "top floor"],
    "name": [
        "ceiling lamp",
        "desk light",
        "coffee machine",
        "front door",
        "garage door",
        "thermostat",
        "fan",
        "TV",
        "blinds",
        "heater",
    ],
    "message": ["dinner is ready", "the taxi is here", "time to leave", "the washing is done", "please come down"],
    "search_query": [
        "jazz for the evening",
        "the beatles",
        "white noise",
        "the morning news",
        "a podcast about history",
    ],
    "shopping_list_item": ["milk", "two lemons", "brown bread", "washing powder", "olive oil", "batteries"],
    "timer_command": ["turn off the lights", "open the blinds", "start the coffee machine", "lock the front door"],
    "timer_name": ["pasta", "laundry", "workout", "pizza", "tea"],
    "todo_list_item": ["call the dentist", "pay the rent", "water the plants", "book a table", "renew the passport"],
    "zone": ["work", "school", "home", "the gym"],
}


@dataclass(frozen=True)
class Drawn:
    """A piece of text with the character spans of the slots in it: start, end, name of the list."""

    text: str = ""
    spans: tuple[tuple[int, int, str], ...] = field(default=())

    def __add__(self, other: "Drawn") -> "Drawn":
        moved = tuple((start + len(self.text), end + len(self.text), name) for start, end, name in other.spans)
        return Drawn(self.text + other.text, self.spans + moved)

    def squeezed(self) -> "Drawn":
        """The text as `" ".join(text.split())` has it, the spans moved along and free of blanks at their ends."""
        text, moved = "", []
        for character in self.text:
            moved.append(len(text))
            if not character.isspace():
                text += character
            elif text and not text.endswith(" "):
                text += " "
        moved.append(len(text))
        text = text.rstrip()
        spans = []
        for start, end, name in self.spans:
            first, last = min(moved[start], len(text)), min(moved[end], len(text))
            first += len(text[first:last]) - len(text[first:last].lstrip())
            last -= len(text[first:last]) - len(text[first:last].rstrip())
            # `3200kelvin` and `80°` are one word: a span takes all of it.
            while last < len(text) and text[last - 1].isalnum() and (text[last].isalnum() or text[last] == "°"):
                last += 1
            if first < last:
                spans.append((first, last, name))
        return Drawn(text, tuple(spans))


@dataclass(frozen=True)
class Command:
    """A sentence, what it wants, its slots (start, end, name) and the number of its template."""

    text: str
    intent: str
    slots: tuple[tuple[int, int, str], ...]
    template: int


def sample_commands() -> tuple[list[Command], str]:
    """Commands, each once for its template, and the version of the templates.

    Sentences are drawn at random from each template's alternatives, always the same ones.
    """
    from importlib.metadata import version

    from hassil import Intents
    from home_assistant_intents import get_intents

    intents = Intents.from_dict(get_intents("en") or {})
    random = np.random.default_rng(SEED)
    commands, template = [], 0
    for name, intent in intents.intents.items():
        for data in intent.data:
            sampler = _Sampler(intents, {**intents.expansion_rules, **(data.expansion_rules or {})}, random)
            for sentence in data.sentences:
                template += 1
                drawn = [sampler.draw(sentence.expression).squeezed() for _ in range(PER_TEMPLATE)]
                by_text = {one.text: one for one in reversed(drawn) if one.text}
                texts = dict.fromkeys(one.text for one in drawn if one.text)
                commands += [Command(text, name, by_text[text].spans, template) for text in texts]
    return commands, version("home-assistant-intents")


class _Sampler:
    """Draws one sentence from an expression: one of its alternatives, one value of each list."""

    def __init__(self, intents: Any, rules: dict[str, Any], random: np.random.Generator):
        self.intents, self.rules, self.random = intents, rules, random

    def draw(self, expression: Any) -> Drawn:
        from hassil import Alternative, Group, ListReference, Permutation, RuleReference, TextChunk

        if isinstance(expression, TextChunk):
            return Drawn(expression.original_text)
        if isinstance(expression, Alternative):
            return self.draw(self._any(expression.items))
        if isinstance(expression, Permutation):
            order = self.random.permutation(len(expression.items))
            return sum((Drawn(" ") + self.draw(expression.items[index]) for index in order), Drawn())
        if isinstance(expression, Group):
            return sum((self.draw(item) for item in expression.items), Drawn())
        if isinstance(expression, RuleReference):
            return self.draw(self.rules[expression.rule_name].expression)
        if isinstance(expression, ListReference):
            value = self._value(expression.list_name)
            # A list's value is one slot, also where its own template mentions other lists.
            return Drawn(value, ((0, len(value), expression.list_name),)) if value else Drawn()
        raise TypeError(f"unknown part of a template: {expression!r}")

    def _value(self, name: str) -> str:
        from hassil import RangeSlotList, TextSlotList

        if name in FILLERS:
            return str(self._any(FILLERS[name]))
        slot_list = self.intents.slot_lists[name]
        if isinstance(slot_list, RangeSlotList):
            return str(self._any(list(slot_list.get_numbers())))
        if isinstance(slot_list, TextSlotList):
            return self.draw(self._any(slot_list.values).text_in).text
        raise ValueError(f"the templates leave the list {name!r} open: give it values in FILLERS")

    def _any(self, items: Any) -> Any:
        return items[int(self.random.integers(len(items)))]
