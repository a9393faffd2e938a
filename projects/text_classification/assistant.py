"""Sample commands to a voice assistant from the templates of home-assistant-intents."""

from typing import Any

import numpy as np

# Sentences drawn from each template: enough to see its alternatives, few enough that none drowns the others.
PER_TEMPLATE = 12
SEED = 0

# What a house would bring along: the templates leave these lists to the installation.
FILLERS: dict[str, list[str]] = {
    "area": ["kitchen", "living room", "bedroom", "garage", "bathroom", "office", "hallway", "garden", "basement", "attic"],
    "floor": ["ground floor", "first floor", "second floor", "top floor"],
    "name": ["ceiling lamp", "desk light", "coffee machine", "front door", "garage door", "thermostat", "fan", "TV", "blinds", "heater"],
    "message": ["dinner is ready", "the taxi is here", "time to leave", "the washing is done", "please come down"],
    "search_query": ["jazz for the evening", "the beatles", "white noise", "the morning news", "a podcast about history"],
    "shopping_list_item": ["milk", "two lemons", "brown bread", "washing powder", "olive oil", "batteries"],
    "timer_command": ["turn off the lights", "open the blinds", "start the coffee machine", "lock the front door"],
    "timer_name": ["pasta", "laundry", "workout", "pizza", "tea"],
    "todo_list_item": ["call the dentist", "pay the rent", "water the plants", "book a table", "renew the passport"],
    "zone": ["work", "school", "home", "the gym"],
}


def sample_commands() -> tuple[list[dict[str, str]], str]:
    """Rows of text, label (the intent) and group (the template), and the version of the templates.

    Sentences are drawn at random from each template's alternatives, always the same ones.
    """
    from importlib.metadata import version

    from hassil import Intents
    from home_assistant_intents import get_intents

    intents = Intents.from_dict(get_intents("en") or {})
    random = np.random.default_rng(SEED)
    rows, template = [], 0
    for label, intent in intents.intents.items():
        for data in intent.data:
            sampler = _Sampler(intents, {**intents.expansion_rules, **(data.expansion_rules or {})}, random)
            for sentence in data.sentences:
                template += 1
                texts = dict.fromkeys(" ".join(sampler.draw(sentence.expression).split()) for _ in range(PER_TEMPLATE))
                rows += [{"text": text, "label": label, "group": f"template {template}"} for text in texts if text]
    return rows, version("home-assistant-intents")


class _Sampler:
    """Draws one sentence from an expression: one of its alternatives, one value of each list."""

    def __init__(self, intents: Any, rules: dict[str, Any], random: np.random.Generator):
        self.intents, self.rules, self.random = intents, rules, random

    def draw(self, expression: Any) -> str:
        from hassil import Alternative, Group, ListReference, Permutation, RuleReference, TextChunk

        if isinstance(expression, TextChunk):
            return expression.original_text
        if isinstance(expression, Alternative):
            return self.draw(self._any(expression.items))
        if isinstance(expression, Permutation):
            return " ".join(self.draw(expression.items[place]) for place in self.random.permutation(len(expression.items)))
        if isinstance(expression, Group):
            return "".join(self.draw(item) for item in expression.items)
        if isinstance(expression, RuleReference):
            return self.draw(self.rules[expression.rule_name].expression)
        if isinstance(expression, ListReference):
            return self._value(expression.list_name)
        raise TypeError(f"unknown part of a template: {expression!r}")

    def _value(self, name: str) -> str:
        from hassil import RangeSlotList, TextSlotList

        if name in FILLERS:
            return str(self._any(FILLERS[name]))
        slot_list = self.intents.slot_lists[name]
        if isinstance(slot_list, RangeSlotList):
            return str(self._any(list(slot_list.get_numbers())))
        if isinstance(slot_list, TextSlotList):
            return self.draw(self._any(slot_list.values).text_in)
        raise ValueError(f"the templates leave the list {name!r} open: give it values in FILLERS")

    def _any(self, items: Any) -> Any:
        return items[int(self.random.integers(len(items)))]
