"""The corrections that wait for their owner, in lines to look through."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from common.data.corrections import NOTES, doubts, kept_file, notes_of, read
from common.reporting.wording import excerpt

# Characters of an input in a line.
WIDTH = 300


def lines(file: Path) -> Iterator[str]:
    """Each row that waits with its number, who sent it when, and what they said; then what can be done with them."""
    rows = read(file)
    for number, (row, doubt) in enumerate(zip(rows, doubts(rows), strict=True), start=1):
        notes = notes_of(row)
        corrected = str(notes.get("corrected", ""))
        given = {name: value for name, value in row.items() if name not in (corrected, NOTES)}
        yield (
            f"{number:5}  {excerpt(notes.get('time'))}  visitor {excerpt(notes.get('visitor'))[:6]}  "
            f"{excerpt(notes.get('answer'))} -> {excerpt(row.get(corrected))}{f'  ({doubt})' if doubt else ''}\n"
            f"       {excerpt(given, WIDTH)}"
        )
    if not rows:
        yield f"no correction waits in {file.parent}."
        return
    most, sent = Counter(str(notes_of(row).get("visitor")) for row in rows).most_common(1)[0]
    yield (
        f"{len(rows):,} rows wait; one visitor ({excerpt(most)[:6]}) sent {sent:,} of them. "
        f"`kit corrections {file.parent} --keep 1 3-5 --drop 2` moves rows to {kept_file(file).name}, "
        "which --extra_train_file takes, and removes others; `all` means every row."
    )
