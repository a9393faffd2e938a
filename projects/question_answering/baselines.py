"""What answers questions without fine-tuning: no answer, shared words, a rule for docstrings, the frozen encoder."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from accelerate.utils import send_to_device
from datasets import Dataset
from torch import Tensor, nn

from common.data.features import by_row, encoded, in_memory
from common.data.splits import Data
from common.evaluation.baselines import DESCRIPTION, WEIGHTS, fit_each
from common.inference import run
from common.metrics import answers
from common.models.weights import load_model
from common.system.files import read_json, write_json, written_with_safetensors
from common.system.hardware import autocast, default_device, default_precision
from common.system.progress import track
from common.task.contract import Baseline, Batch, Outputs, Prediction, Task

from .reading import answer, best_score, threshold_of

WORD = re.compile(r"\w+")
# Validation rows by which a baseline decides when to give no answer.
ROWS = 1_000
# Windows that the linear layer on the frozen encoder learns from, how often it sees them, and its rate.
WINDOWS, ROUNDS, RATE = 800, 40, 1e-2
BATCH = 32


class Nothing(Baseline):
    """Never answers: right wherever there is no answer."""

    title, short = "never an answer", "none"

    def predict(self, inputs: list[Any]) -> list[Prediction]:
        return [Prediction("")] * len(inputs)

    def save(self, folder: Path) -> None:
        write_json(folder / DESCRIPTION, {"kind": "nothing"})


class Overlap(Baseline):
    """The sentence or line that has most of the question's words, if it has more than a share of them.

    A word counts for the more, the fewer sentences of the context have it.
    """

    title, short = "the sentence that shares most words with the question", "words"

    def __init__(self, threshold: float | None):
        self.threshold = threshold

    @classmethod
    def fit(cls, validation: Dataset) -> "Overlap":
        """With the threshold that is best on these rows."""
        best = [_best_sentence(row["question"], row["context"]) for row in validation]
        texts = [[one["text"] for one in found] for found in validation["reference"]]
        if_answered = answers.statistics([text for text, _ in best], texts)[:, 0]
        unanswerable = np.asarray([not found for found in texts])
        return cls(threshold_of(np.asarray([share for _, share in best]), if_answered, unanswerable))

    def predict(self, inputs: list[Any]) -> list[Prediction]:
        best = [_best_sentence(one["question"], one["context"]) for one in inputs]
        return [Prediction(text if self.threshold is None or share > self.threshold else "") for text, share in best]

    def save(self, folder: Path) -> None:
        write_json(folder / DESCRIPTION, {"kind": "overlap", "threshold": self.threshold})


def _best_sentence(question: str, context: str) -> tuple[str, float]:
    """The sentence or line, and the weighted share of the question's words that it has."""
    sentences = [part.strip() for part in re.split(r"(?<=[.!?])\s+|\n+", context) if part.strip()]
    words = [set(WORD.findall(sentence.casefold())) for sentence in sentences]
    asked = set(WORD.findall(question.casefold()))
    weights = {word: np.log1p(len(sentences) / (1 + sum(word in one for one in words))) for word in asked}
    whole = sum(weights.values()) or 1.0
    shares = [sum(weights[word] for word in asked & one) / whole for one in words]
    best = int(np.argmax(shares)) if shares else 0
    return (sentences[best], float(shares[best])) if shares else ("", 0.0)


class Lines(Baseline):
    """A rule for docstrings: finds `NAME :`, and takes the type behind it, the default, or the sentence below it.

    It knows by which words the questions of the training rows ask for what. Where a text has no such line, or the
    question no such name, it gives no answer.
    """

    title, short = 'the text behind or below "NAME :"', "rule"

    def predict(self, inputs: list[Any]) -> list[Prediction]:
        return [Prediction(_by_rule(one["question"], one["context"])) for one in inputs]

    def save(self, folder: Path) -> None:
        write_json(folder / DESCRIPTION, {"kind": "lines"})


# By which words the training questions ask for what.
FOR_RETURNS = re.compile(
    r"return|output|result of|result in|outcome|produce|value does \S+ give|hand over|given back|answer with|for me\?"
)
FOR_DEFAULT = re.compile(
    r"default|not given|assumed|standard value|omitted|not set|on its own|unless|nothing is given|initial value"
    r"|without my|none is named|if it is missing"
)
FOR_TYPE = re.compile(
    r"\btypes?\b|kind|sort of object|something else|a number,|values may|in which form|be an? |of what class"
    r"|what may|accept|legal values"
)
DEFAULT = re.compile(r"\bdefaults?\b(?: value)?(?: is| are| to|:|=)? *=?(?P<value>[^\s,;)]+|'[^']*')", re.IGNORECASE)
SENTENCE = re.compile(r".+?[.](?=\s|$)", re.DOTALL)


def _by_rule(question: str, context: str) -> str:
    asked = question.casefold()
    lines = context.split("\n")
    if FOR_RETURNS.search(asked):
        heads = [place for place, line in enumerate(lines) if line == "Returns"]
        return _below(lines, heads[0] + 1) if heads else ""
    for name in WORD.findall(question)[::-1]:
        for place, line in enumerate(lines):
            entry = re.match(rf"(?:.*, ?)?\*{{0,2}}{re.escape(name)}(?:, .*)? ?:(.*)$", line)
            if entry is None and line != name:  # an error stands alone in its line
                continue
            behind = entry[1] if entry else ""
            if FOR_DEFAULT.search(asked):
                found = DEFAULT.search(f"{behind}\n{_block(lines, place)}")
                return found["value"].rstrip(".") if found else ""
            if FOR_TYPE.search(asked):
                return re.sub(r",? *\(?(?:optional|default).*$", "", behind).strip()
            return _below(lines, place)
    return ""


def _block(lines: list[str], place: int) -> str:
    """The indented lines below a line."""
    block = []
    for line in lines[place + 1 :]:
        if line.strip() and not line[0].isspace():
            break
        block.append(line)
    return "\n".join(block).strip()


def _below(lines: list[str], place: int) -> str:
    """The first sentence of the indented lines below a line."""
    paragraph = _block(lines, place).split("\n\n")[0]
    sentence = SENTENCE.match(paragraph)
    return (sentence[0] if sentence else paragraph).strip(". \n")


class FrozenSpans(Baseline):
    """A linear layer on the pretrained encoder's vectors of the tokens, read off as the model's logits are."""

    title, short = "frozen encoder + a linear layer for start and end", "frozen"

    def __init__(self, task: Task, model: "LinearSpans", threshold: float | None):
        self.task, self.threshold = task, threshold
        self.device = default_device()
        self.precision = default_precision()
        self.model = model.to(self.device).eval()

    @classmethod
    def fit(cls, task: Task, data: Data, source: Path) -> "FrozenSpans":
        """Fitted on windows of training rows, with the threshold that is best on validation rows."""
        from transformers import AutoModel

        model = LinearSpans(load_model(AutoModel, source, complete=False))
        random = np.random.default_rng(task.config.seed)
        train = data.splits["train"]
        drawn = train.select(np.sort(random.permutation(len(train))[:WINDOWS]))
        _fit_layer(task, model, encoded(task.encode, drawn), random)
        baseline = cls(task, model, None)
        validation = data.splits["validation"].select(range(min(ROWS, len(data.splits["validation"]))))
        outputs = baseline._outputs(validation[:])
        given = [answer(row["context"], of_row, None, 0.0) for row, of_row in zip(validation, outputs, strict=True)]
        texts = [[one["text"] for one in found] for found in validation["reference"]]
        if_answered = answers.statistics([one.value for one in given], texts)[:, 0]
        scores = np.asarray([best_score(of_row) for of_row in outputs])
        baseline.threshold = threshold_of(scores, if_answered, np.asarray([not found for found in texts]))
        return baseline

    def _outputs(self, rows: Any) -> Outputs:
        features = in_memory(self.task.encode, {name: rows[name] for name in ("question", "context")})
        name = "frozen encoder" if len(features) > 1 else ""
        found = run(
            self.task, self.model, features, self.device, precision=self.precision, batch_size=BATCH, description=name
        )
        return by_row(found.values, features, len(rows["context"]))

    def predict(self, inputs: list[Any]) -> list[Prediction]:
        rows = self.task.rows(inputs)
        pairs = zip(rows["context"], self._outputs(rows), strict=True)
        return [Prediction(answer(context, of_row, self.threshold, 0.0).value) for context, of_row in pairs]

    def save(self, folder: Path) -> None:
        from safetensors.torch import save_file

        write_json(folder / DESCRIPTION, {"kind": "frozen", "threshold": self.threshold})
        with written_with_safetensors(folder):
            save_file(self.model.layer.state_dict(), folder / WEIGHTS)
            self.model.encoder.save_pretrained(folder / "encoder")


class LinearSpans(nn.Module):
    """An encoder that is not trained, and a linear layer that gives each token its two logits."""

    def __init__(self, encoder: Any):
        super().__init__()
        self.encoder = encoder
        self.layer = nn.Linear(encoder.config.hidden_size, 2)
        nn.init.zeros_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)

    def forward(self, **inputs: Tensor) -> Any:
        """Start and end logits, (batch, tokens) each."""
        return self.read(self.encoder(**inputs).last_hidden_state)

    def read(self, vectors: Tensor) -> Any:
        """The logits of (batch, tokens, width) vectors."""
        start, end = self.layer(vectors.float()).unbind(-1)
        return SimpleNamespace(start_logits=start, end_logits=end)


def _fit_layer(task: Task, model: LinearSpans, features: Dataset, random: np.random.Generator) -> None:
    """Train the layer alone, on vectors that the encoder gives once."""
    device = default_device()
    precision = default_precision()
    model.to(device).eval()
    order = np.argsort(features["length"])
    batches: list[tuple[Batch, Tensor]] = []
    for start in track(range(0, len(order), BATCH), "frozen encoder"):
        batch = send_to_device(task.collate(features[order[start : start + BATCH]]), device)
        names = ("input_ids", "attention_mask", "token_type_ids")
        with torch.no_grad(), autocast(device, precision):
            vectors = model.encoder(**{name: batch[name] for name in names if name in batch}).last_hidden_state
        batches.append((batch, vectors.to(torch.float16)))
    optimizer = torch.optim.Adam(model.layer.parameters(), lr=RATE)
    for _ in range(ROUNDS):
        for place in random.permutation(len(batches)):
            batch, vectors = batches[place]
            if not task.items(batch):
                continue
            optimizer.zero_grad()
            loss = task.loss(_Given(model, vectors), batch) / task.items(batch)
            loss.backward()
            optimizer.step()


class _Given(nn.Module):
    """A model whose vectors are known."""

    def __init__(self, model: LinearSpans, vectors: Tensor):
        super().__init__()
        self.model, self.vectors = model, vectors

    def forward(self, **_: Tensor) -> Any:
        return self.model.read(self.vectors)


def fit_baselines(task: Task, data: Data, source: Path) -> dict[str, Baseline]:
    """The four."""
    validation = data.splits["validation"].select(range(min(ROWS, len(data.splits["validation"]))))
    return fit_each(
        {
            "nothing": Nothing,
            "word_overlap": lambda: Overlap.fit(validation),
            "lines": Lines,
            "frozen_encoder_spans": lambda: FrozenSpans.fit(task, data, source),
        }
    )


def load(task: Task, folder: Path) -> Baseline:
    """The baseline that `save` wrote."""
    from safetensors.torch import load_file
    from transformers import AutoModel

    description = read_json(folder / DESCRIPTION)
    if description["kind"] == "nothing":
        return Nothing()
    if description["kind"] == "lines":
        return Lines()
    if description["kind"] == "overlap":
        return Overlap(description["threshold"])
    model = LinearSpans(load_model(AutoModel, folder / "encoder"))
    model.layer.load_state_dict(load_file(folder / WEIGHTS))
    return FrozenSpans(task, model, description["threshold"])
