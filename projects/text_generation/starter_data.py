"""Prompts with answers that arrive by pip: nothing that is downloaded is run or committed, and no answer is, either."""

import json
from collections.abc import Callable
from typing import Any
from zlib import crc32

from common.data import tldr_pages
from common.data.sources import Starter

Row = dict[str, Any]

# Of a hundred templates or command families, how many are for testing and how many for validation.
TEMPLATES, FAMILIES = (22, 7), (10, 7)
# Sentences of each template: several to learn from, and one to measure on, since those of one template are much alike.
PER_TEMPLATE = {"train": 5, "validation": 1, "test": 1}
# Examples of each command family: no family, such as git's, is most of what is measured.
PER_FAMILY = {"train": 12, "validation": 1, "test": 1}
# A longer command is more than one could say in a sentence.
CHARACTERS, WORDS = 80, 15


def voice_calls() -> Starter:
    """Commands to a voice assistant, and the call of its interface that each wants; split by sentence template."""
    from common.data.voice_commands import sample_commands

    commands, version = sample_commands()
    splits: dict[str, list[Row]] = {split: [] for split in PER_TEMPLATE}
    taken: dict[int, int] = {}
    for command in commands:
        group = f"template {command.template}"
        split = _split(group, *TEMPLATES)
        taken[command.template] = taken.get(command.template, 0) + 1
        if taken[command.template] > PER_TEMPLATE[split]:
            continue
        call: dict[str, str] = {"intent": command.intent}
        for start, end, name in command.slots:
            value = command.text[start:end]
            call[name] = f"{call[name]}, {value}" if name in call else value
        row = {"prompt": command.text, "completion": json.dumps(call, ensure_ascii=False), "group": group}
        splits[split].append({**row, "slice slots": str(len(call) - 1)})
    return Starter(
        splits=splits,
        reference=f"commands sampled from the English templates of home-assistant-intents {version}, with their calls",
        terms="Apache-2.0 (home-assistant-intents)",
    )


def shell_commands() -> Starter:
    """What somebody wants to do with a command of which name and summary are known, and the line that does it.

    Split by command family, the first word of a page's name.
    """
    splits: dict[str, list[Row]] = {split: [] for split in PER_FAMILY}
    taken: dict[str, int] = {}
    seen = set()
    for (platform, name), page in tldr_pages.pages().items():
        family = tldr_pages.family(name)
        split = _split(family, *FAMILIES)
        summary = page["s"].split(". ")[0].strip().rstrip(".")
        for task, command in page["e"]:
            long = len(command) >= CHARACTERS or len(command.split()) > WORDS
            if long or command.startswith("tldr ") or taken.get(family, 0) >= PER_FAMILY[split]:
                continue
            prompt = f"{name}: {summary}. {task}"
            if prompt.casefold() in seen:
                continue
            seen.add(prompt.casefold())
            taken[family] = taken.get(family, 0) + 1
            splits[split].append({"prompt": prompt, "completion": command, "group": family, "slice platform": platform})
    return Starter(
        splits=splits,
        reference=f"tldr pages v2.3 in {tldr_pages.PAGES}: a page's name and summary with a task, and its command",
        terms=tldr_pages.TERMS,
    )


def _split(group: str, test: int, validation: int) -> str:
    place = crc32(group.encode()) % 100
    return "test" if place < test else "validation" if place < test + validation else "train"


STARTERS: dict[str, Callable[[], Starter]] = {"voice-calls": voice_calls, "shell-commands": shell_commands}
