"""Texts with entities that every machine with this kit has: nothing is downloaded, nothing is committed."""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from common.data.sources import Starter


def api_mentions() -> Starter:
    """Mentions of parameters, functions and classes in torch's docstrings, labelled by their authors' markup."""
    from .api_mentions import api_mentions as sentences

    rows = sentences()
    for row in rows:
        unknown = [{**span, "label": None} for span in row.pop("unknown")]
        row["spans"] = sorted([*row["spans"], *unknown], key=lambda span: span["start"])
    return Starter(
        splits={"train": rows},
        reference=f"API mentions in the docstrings of torch {version('torch')}, as installed",
        terms="torch is BSD-3-Clause; the sentences are read at run time, not redistributed",
    )


def home_assistant() -> Starter:
    """Commands to a voice assistant with their slots, split by sentence template."""
    from common.data.voice_commands import sample_commands

    commands, templates = sample_commands()
    rows: dict[str, dict[str, Any]] = {}
    for command in commands:
        spans = [{"start": start, "end": end, "label": name} for start, end, name in command.slots]
        # The first of several templates that give the same sentence names its slots.
        row = {"text": command.text, "spans": spans, "group": f"template {command.template}"}
        rows.setdefault(command.text, row)
    return Starter(
        splits={"train": list(rows.values())},
        reference=f"commands sampled from the English templates of home-assistant-intents {templates}",
        terms="Apache-2.0 (home-assistant-intents)",
    )


STARTERS: dict[str, Callable[[], Starter]] = {"api-mentions": api_mentions, "home-assistant": home_assistant}
