"""Does a demo stay quick and small while 32 people use it and one floods it?

    python -m tests.benchmarks.visitors RUN [--minutes 10] [--write]

The real server, in a process of its own. Each visitor comes from an address of its own (127.0.1.1, 127.0.1.2, ...),
asks `/predict` one question, reads the answer for one to five seconds, and asks again. The flooder sends texts of the
greatest length that is allowed, 60 requests at a time and as fast as they are answered or refused. Where a question
comes with a text, that of the visitors has some 1,000 characters. The server's memory is read each second; the first
minute, in which it grows to what it needs, is left out.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from common.run import Run, project_of
from common.system.files import read_json

REPOSITORY = Path(__file__).resolve().parents[2]
VISITORS, FLOOD, WARM_UP = 32, 60, 60.0
QUESTION = 1_000  # characters, where a text comes with it
WORDS = ("a charming little film", "that never outstays its welcome", "but the plot is dull", "seen it before")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--write", action="store_true", help="keep the figures beside the project")
    options = parser.parse_args()
    with served(options.run) as (project, address, pid):
        found = asyncio.run(watched(address, pid, 60 * options.minutes))
    print(json.dumps(found, indent=1))
    if options.write:
        from common.system.hardware import _cpu_name

        found = {"device": f"{_cpu_name()}, {os.cpu_count()} cores", **found}
        target = REPOSITORY / f"projects/{project}/results/visitors.json"
        target.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


@contextmanager
def served(run: Path) -> Iterator[tuple[str, str, int]]:
    """(project, address, process) of the real server of a run, in a process of its own."""
    project = project_of(read_json(Run(run).results))
    with subprocess.Popen(
        [sys.executable, "-u", "-m", f"apps.{project}", str(run.resolve())],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    ) as server:
        try:
            assert server.stdout
            line = server.stdout.readline()
            if "http" not in line:
                sys.exit("the demo did not start")
            yield project, next(word for word in line.split() if word.startswith("http")).rstrip(";"), server.pid
        finally:
            server.terminate()


async def watched(address: str, pid: int, seconds: float) -> dict[str, Any]:
    """What the visitors waited, and what the server held, within so many seconds."""
    with_text = await takes_a_text(address)
    end = time.monotonic() + seconds
    waited: list[float] = []
    said: Counter[str] = Counter()
    memory: list[float] = []
    people = [
        visitor(address, f"127.0.1.{number + 1}", number, end, waited, said, with_text) for number in range(VISITORS)
    ]
    await asyncio.gather(*people, flooder(address, "127.0.2.1", end, said, with_text), weigh(pid, end, memory))
    settled = memory[int(WARM_UP) :] or memory
    middle = statistics.median(settled)
    return {
        "minutes": seconds / 60,
        "visitors": VISITORS,
        "flood": FLOOD,
        "questions": len(waited),
        "p50_seconds": statistics.median(waited),
        "p95_seconds": statistics.quantiles(waited, n=20)[-1],
        "slowest_seconds": max(waited),
        "said": dict(sorted(said.items())),
        "memory_mib": {"median": middle, "least": min(settled), "most": max(settled)},
        "memory_share_off_median": max(max(settled) / middle - 1, 1 - min(settled) / middle),
    }


async def takes_a_text(address: str) -> bool:
    """Whether `/predict` takes a question and a text that it is asked about."""
    async with httpx.AsyncClient(base_url=address, timeout=60) as http:
        info = (await http.get("/gradio_api/info")).json()
    return len(info["named_endpoints"]["/predict"]["parameters"]) > 1


async def visitor(
    address: str, own: str, number: int, end: float, waited: list[float], said: "Counter[str]", with_text: bool
) -> None:
    """Ask, read, and ask again; every wait is noted, and every answer that is none."""
    chance = random.Random(number)
    passage = ". ".join(chance.choices(WORDS, k=40))
    async with client(address, own) as http:
        while time.monotonic() < end:
            text = " ".join(chance.choices(WORDS, k=chance.randrange(1, 9)))
            started = time.monotonic()
            try:
                said[f"visitor: {await asked(http, [text, passage] if with_text else [text])}"] += 1
            except httpx.HTTPError as error:
                said[f"visitor: {type(error).__name__}"] += 1
            waited.append(time.monotonic() - started)
            await asyncio.sleep(chance.uniform(1, 5))


async def flooder(address: str, own: str, end: float, said: "Counter[str]", with_text: bool) -> None:
    """Ask the dearest questions, many at once."""

    async def one(number: int) -> None:
        text = (f"{number} " + "word " * 3_000)[:10_000]
        while time.monotonic() < end:
            try:
                said[f"flooder: {await asked(http, [text[:QUESTION], text] if with_text else [text])}"] += 1
            except httpx.HTTPError as error:
                said[f"flooder: {type(error).__name__}"] += 1
                await asyncio.sleep(0.05)

    async with client(address, own) as http:
        await asyncio.gather(*(one(number) for number in range(FLOOD)))


def client(address: str, own: str) -> httpx.AsyncClient:
    """Connections that come from an address of their own."""
    transport = httpx.AsyncHTTPTransport(local_address=own, limits=httpx.Limits(max_connections=FLOOD))
    return httpx.AsyncClient(base_url=address, transport=transport, timeout=60)


async def asked(http: httpx.AsyncClient, given: list[str]) -> str:
    """How `/predict` answers: `answer`, `sentence` for an error in words, or the status that refuses it."""
    taken = await http.post("/gradio_api/call/predict", json={"data": given})
    if taken.status_code != 200:
        return str(taken.status_code)
    answer = await http.get(f"/gradio_api/call/predict/{taken.json()['event_id']}")
    return "answer" if "event: complete" in answer.text else "sentence" if "event: error" in answer.text else "nothing"


async def weigh(pid: int, end: float, memory: list[float]) -> None:
    """Note the resident memory of a process in MiB, each second."""
    process = psutil.Process(pid)
    while time.monotonic() < end:
        memory.append(process.memory_info().rss / 2**20)
        await asyncio.sleep(1)


if __name__ == "__main__":
    main()
