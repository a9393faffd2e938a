"""From the logits of windows to an answer: the best span of each window, and the best of all windows of a context.

A span's score is how much likelier it is than "no answer" in its own window: its logits minus those of the token that
stands for no answer. Logits of two windows have no common zero; these scores have.
"""

import unicodedata
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp
from torch import Tensor

from common.metrics.answers import no_answer_threshold
from common.task.contract import Prediction

# Spans of a window that are kept, and the answers that are given beside the best one.
SPANS, OTHERS = 20, 3


@dataclass(frozen=True)
class Read:
    """What a window says.

    Attributes:
        scores: (k,) log-odds of its best spans against no answer, the best first.
        spans: (k, 2) their characters in the context, the end excluded.
        total: log of the summed odds of all spans.
    """

    scores: NDArray[np.float32]
    spans: NDArray[np.int64]
    total: float


def best_spans(start: Tensor, end: Tensor, longest: int) -> tuple[Tensor, Tensor, Tensor]:
    """The best spans of tokens whose scores are the sums of (b, t) start and end scores, -inf where none may be.

    A span has at most `longest` tokens. Returns (b, k) scores, (b, k, 2) first and last tokens, and the (b,) log of
    the summed odds of all spans.
    """
    tokens = start.shape[1]
    longest = min(longest, tokens)
    padded = torch.nn.functional.pad(end, (0, longest - 1), value=-torch.inf)
    scores = start[:, :, None] + padded.unfold(1, longest, 1)  # (b, t, longest): the band i <= j < i + longest
    flat = scores.flatten(1)
    best, place = flat.topk(min(SPANS, flat.shape[1]))
    first = place // longest
    return best, torch.stack([first, first + place % longest], dim=-1), flat.logsumexp(dim=1)


def read_windows(start: Tensor, end: Tensor, batch: dict[str, Any], longest: int) -> list[Read]:
    """What each of the b windows of a batch says, given (b, t) start and end logits, masked outside the contexts."""
    rows = torch.arange(len(start), device=start.device)
    none = batch["no_answer"]
    start, end = start - start[rows, none, None], end - end[rows, none, None]
    outside = ~batch["in_context"]
    best, tokens, total = best_spans(
        start.masked_fill(outside, -torch.inf), end.masked_fill(outside, -torch.inf), longest
    )
    found = []
    for index, (scores, ends) in enumerate(zip(best.cpu().numpy(), tokens.cpu().numpy(), strict=True)):
        kept = np.isfinite(scores)
        places = ends[kept] - batch["first"][index]
        offsets = batch["offsets"][index]
        spans = np.stack([offsets[places[:, 0], 0], offsets[places[:, 1], 1]], axis=1) if kept.any() else places
        found.append(Read(scores[kept].astype(np.float32), spans.astype(np.int64), float(total[index])))
    return found


def best_score(windows: list[Read]) -> float:
    """How much likelier the best span of all windows is than no answer; -inf where there is no span."""
    return max((float(window.scores[0]) for window in windows if len(window.scores)), default=-np.inf)


def answer(context: str, windows: list[Read], threshold: float | None, sure_from: float) -> Prediction:
    """The answer to a question, given what the windows of its context say.

    "" is no answer: where the best span's score is not above the threshold; None always answers. Details hold where
    the answer stands, the next best ones that do not overlap with it or each other, and how far the two likeliest
    possibilities are apart.
    """
    scores = np.concatenate([window.scores for window in windows]).astype(np.float64)
    spans = np.concatenate([window.spans for window in windows])
    total = float(logsumexp([window.total for window in windows]))
    shift = -np.inf if threshold is None else threshold
    everything = np.logaddexp(total, shift)  # the log of the odds of all possibilities, no answer included
    chosen: list[dict[str, Any]] = []
    if np.isfinite(everything):
        for place in np.argsort(-scores, kind="stable"):
            start, end = whole_words(context, *spans[place].tolist())
            if all(end <= other["start"] or other["start"] + len(other["text"]) <= start for other in chosen):
                probability = round(float(np.exp(scores[place] - everything)), 6)
                chosen.append({"text": context[start:end], "start": start, "probability": probability})
            if len(chosen) > OTHERS:
                break
    none = round(float(np.exp(shift - everything)), 6) if chosen else 1.0
    is_answered = bool(chosen) and best_score(windows) > shift
    ranked = sorted([one["probability"] for one in chosen] + [none])
    details: dict[str, Any] = {"none": none, "gap": round(ranked[-1] - ranked[-2], 6) if chosen else 1.0}
    if is_answered:
        details["start"] = chosen[0]["start"]
    details["others"] = chosen[1:] if is_answered else chosen[:OTHERS]
    confidence = chosen[0]["probability"] if is_answered else none
    value = chosen[0]["text"] if is_answered else ""
    return Prediction(value, confidence=confidence, sure=confidence >= sure_from, details=details)


def whole_words(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without blanks at its ends, and with the rest of the words that it cuts."""
    start += len(text[start:end]) - len(text[start:end].lstrip())
    end -= len(text[start:end]) - len(text[start:end].rstrip())
    while _in_word(text, start):
        start -= 1
    while _in_word(text, end):
        end += 1
    return start, end


def _in_word(text: str, place: int) -> bool:
    """Whether a place is between two letters or digits of a word, or before a combining mark.

    Letters without case are left alone: in many of their scripts no blank stands between words.
    """
    if not 0 < place < len(text):
        return False
    return unicodedata.category(text[place]).startswith("M") or (_of_word(text[place - 1]) and _of_word(text[place]))


def _of_word(letter: str) -> bool:
    return letter.isdecimal() or letter.lower() != letter.upper() or unicodedata.category(letter).startswith("M")


def threshold_of(scores: NDArray[np.float64], if_answered: NDArray[np.float64], unanswerable: NDArray[Any]) -> Any:
    """The threshold with the best mean F1 on validation rows; None where each of them has an answer.

    Args:
        scores: (n,) of the rows' best spans.
        if_answered: (n,) the F1 of these spans.
        unanswerable: (n,) whether the right answer is none.
    """
    if not unanswerable.any():
        return None
    found = no_answer_threshold(scores, if_answered, unanswerable.astype(np.float64))
    return None if found is None else round(found, 6)
