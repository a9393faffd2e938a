"""Do eight visitors whose answers stream at the same time all get them, and as they were measured?

    python -m tests.benchmarks.streams RUN [--rounds 4] [--write]

The real server of a run of text generation or summarization, in a process of its own, asked as its page asks. Each
visitor comes from an address of its own, asks an input of the test split, sees the answer grow, and asks the next one.
"""

import argparse
import asyncio
import html
import json
import os
import re
import statistics
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from common.run import Run
from common.system.hardware import _cpu_name
from tests.benchmarks.visitors import REPOSITORY, client, served

VISITORS = 8
# How far apart two tokens have to be as likely for the same one to come out in another batch, with bf16.
CLEAR = 0.05
# Where the pages of a chat and of a summary have it, the latter perhaps with marks in it.
WRITTEN = re.compile(r'<(pre|p) class="(?:written label|label summary)">(.*?)</\1>', re.DOTALL)
TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True)
class Streamed:
    """What a visitor saw.

    Attributes:
        answer: the whole one; None where there was none.
        problem: what was said in its place.
        grew: whether a part of it was there before the whole.
        first, last: seconds until its first word, and until all of it.
    """

    answer: str | None
    problem: str
    grew: bool
    first: float
    last: float


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--write", action="store_true", help="keep the figures beside the project")
    options = parser.parse_args()
    with served(options.run) as (project, address, _):
        found = asyncio.run(watched(address, Run(options.run), options.rounds))
    found = {"device": f"{_cpu_name()}, {os.cpu_count()} cores", **found}
    print(json.dumps(found, indent=1))
    if options.write:
        target = REPOSITORY / f"projects/{project}/results/streams.json"
        target.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


async def watched(address: str, run: Run, rounds: int) -> dict[str, Any]:
    """What the visitors saw, each of whom asks so many prompts one after the other."""
    records = [json.loads(line) for line in run.predictions.read_text(encoding="utf-8").splitlines()]
    records = [record for record in records if record["set"] == "test"][: VISITORS * rounds]
    async with client(address, "127.0.1.1") as http:
        functions = (await http.get("/config")).json()["dependencies"]
    function = next(one["id"] for one in functions if one["types"]["generator"])

    async def visitor(number: int) -> list[Streamed]:
        async with client(address, f"127.0.1.{number + 1}") as http:
            return [await streamed(http, function, record["input"]) for record in records[number::VISITORS]]

    by_visitor = await asyncio.gather(*map(visitor, range(VISITORS)))
    seen = {record["id"]: by_visitor[index % VISITORS][index // VISITORS] for index, record in enumerate(records)}
    answers = [one for one in seen.values() if one.answer is not None]
    measured = [record["prediction"] for record in records]
    pairs = zip(seen.values(), measured, strict=True)
    gaps = [was["details"]["gap"] for one, was in pairs if one.answer not in (None, was["value"])]
    return {
        "visitors": VISITORS,
        "answers": len(answers),
        "problems": dict(Counter(one.problem for one in seen.values() if one.problem)),
        "grew": sum(one.grew for one in answers),
        "as_measured": len(answers) - len(gaps),
        "others_where_two_tokens_were_as_likely": sum(gap <= CLEAR for gap in gaps),
        "others": sum(gap > CLEAR for gap in gaps),
        "first_word_seconds": {"median": statistics.median(one.first for one in answers)},
        "seconds": {
            "median": statistics.median(one.last for one in answers),
            "slowest": max(one.last for one in answers),
        },
    }


async def streamed(http: Any, function: int, prompt: str) -> Streamed:
    """Ask as the page does, and read its stream to the end."""
    session, started = uuid4().hex, time.monotonic()
    joined = await http.post(
        "/gradio_api/queue/join", json={"data": [prompt], "fn_index": function, "session_hash": session}
    )
    if joined.status_code != 200:
        return Streamed(None, f"status {joined.status_code}", False, 0.0, 0.0)
    page, first, grew = "", 0.0, False
    async with http.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as stream:
        async for line in stream.aiter_lines():
            if not line.startswith("data:"):
                continue
            message = json.loads(line.removeprefix("data:"))
            if message["msg"] == "process_generating":
                page = changed(page, message["output"]["data"][0])
                if written_in(page):
                    grew |= "growing" in page
                    first = first or time.monotonic() - started
            elif message["msg"] == "process_completed":
                last = time.monotonic() - started
                if not message["success"]:
                    return Streamed(None, str(message["output"].get("error")), grew, first, last)
                return Streamed(written_in(page), "", grew, first, last)
    return Streamed(None, "the stream ended", grew, first, time.monotonic() - started)


def written_in(page: str) -> str | None:
    """The answer that a page shows."""
    written = WRITTEN.search(page)
    return html.unescape(TAG.sub("", written[2])) if written else None


def changed(page: str, given: Any) -> str:
    """A page after what Gradio sends: the whole one first, then what is different."""
    if isinstance(given, str):
        return given
    for kind, _, value in given:
        page = page + value if kind == "append" else value
    return page


if __name__ == "__main__":
    main()
