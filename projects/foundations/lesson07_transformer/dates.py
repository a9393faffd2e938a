"""The task of lesson 7: dates as people write them, and as 1987-05-03, one token for each character."""

from datetime import date, timedelta

import torch
from torch import Tensor, nn

PAD, BEGIN, END = range(3)  # the tokens that stand for no character

MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
UNITS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"]
TEENS = [
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
]
ORDINALS = [*UNITS, *TEENS, "twentieth", *(f"twenty-{unit}" for unit in UNITS), "thirtieth", "thirty-first"]
FORMS = (
    "{day} {month} {year}",
    "{month} {day}, {year}",
    "{short} {th}, {year}",
    "the {th} of {month} {year}",
    "{day}/{number}/{year}",
    "the {word} of {month} {year}",
)


def spell(day: date, form: int) -> str:
    """A date as people write it."""
    month, suffix = (
        MONTHS[day.month - 1],
        "th" if 10 < day.day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(day.day % 10, "th"),
    )
    words = {
        "day": day.day,
        "th": f"{day.day}{suffix}",
        "word": ORDINALS[day.day - 1],
        "month": month,
        "short": month[:3],
    }
    return FORMS[form].format(**words, number=day.month, year=day.year)


def days(first_year: int, last_year: int) -> list[date]:
    """Each day of these years and those between."""
    start = date(first_year, 1, 1)
    return [start + timedelta(number) for number in range((date(last_year + 1, 1, 1) - start).days)]


def split_days(seed: int = 0) -> tuple[list[date], list[date]]:
    """The days from 1900 to 2099, nine tenths to learn from and one tenth held out in every form."""
    everything = days(1900, 2099)
    order = torch.randperm(len(everything), generator=torch.Generator().manual_seed(seed)).tolist()
    held_out = len(everything) // 10
    return [everything[place] for place in order[held_out:]], [everything[place] for place in order[:held_out]]


CHARACTERS = sorted(set("".join(MONTHS + ORDINALS) + "0123456789 ,/-the of"))
NUMBERS = {character: number for number, character in enumerate(CHARACTERS, start=END + 1)}
TOKENS = END + 1 + len(CHARACTERS)


def tokenise(texts: list[str]) -> Tensor:
    """One token for each character, and padding behind: (batch, longest).

    Raises KeyError for a character that no date has.
    """
    rows = [torch.tensor([NUMBERS[character] for character in text]) for text in texts]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)


def text_of(tokens: list[int]) -> str:
    """The characters up to the end token."""
    until = tokens.index(END) if END in tokens else len(tokens)
    return "".join(CHARACTERS[token - END - 1] if token > END else "?" for token in tokens[:until])


def sample(known: list[date], count: int, generator: torch.Generator) -> tuple[list[str], list[str]]:
    """Random days in random forms, and the same days as year-month-day."""
    chosen = torch.randint(len(known), (count,), generator=generator).tolist()
    forms = torch.randint(len(FORMS), (count,), generator=generator).tolist()
    return [spell(known[place], form) for place, form in zip(chosen, forms, strict=True)], [
        known[place].isoformat() for place in chosen
    ]
