"""Plain texts in place of chats: all of each is learned, and the measure is how well others are foretold."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor, nn

from common.data.splits import Data
from common.evaluation.baselines import DESCRIPTION, fit_each, training_rows
from common.evaluation.untuned import AsItCame
from common.metrics import language_model
from common.models.causal import IGNORED, Causal, Generated, in_words
from common.models.chat import Encoded
from common.models.chat_model import ChatModel, features_of
from common.models.ngram import ByteModel
from common.models.tuned import read_of
from common.run import BASELINE_ROWS
from common.system.errors import UserError
from common.system.files import read_json, write_json
from common.task.contract import Baseline, Batch, Outputs, Prediction, Rows

# Bytes that the model of bytes looks at together.
ORDER = 5
# What the score of a text is made of.
COLUMNS = ("nats", "foretold", "bytes")

USAGE = """\
from transformers import pipeline

print(pipeline("text-generation", model="model")({prompt})[0]["generated_text"])
"""

# What is written behind a beginning, and the nats and the number of its tokens.
Foretold = tuple[Generated, float, int]


class PlainTexts(ChatModel):
    """The part of a task that texts have instead of chats; the model goes on from a text's beginning."""

    def find_end(self) -> int:
        if self.tokenizer.eos_token_id is None:
            raise UserError(f"{self.config.model} has no token that ends a text: choose another --model.")
        return int(self.tokenizer.eos_token_id)

    def encode(self, rows: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """The windows of each text; with its rest, and its end, where that is known."""
        beginnings = self._tokens(rows["prompt"])
        rests: list[list[int]] = [[] for _ in beginnings]
        if "reference" in rows:
            rests = [[*rest, self.end] for rest in self._tokens(rows["reference"])]
        found = [windows(*of_row, self.limit) for of_row in zip(beginnings, rests, strict=True)]
        of_rows = [row for row, of_row in enumerate(found) for _ in of_row]
        return {**features_of([window for of_row in found for window in of_row]), "row": of_rows}

    def _tokens(self, texts: list[str]) -> list[list[int]]:
        tokens: list[list[int]] = self.tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
        return tokens

    def predict(self, model: nn.Module, batch: Batch) -> list[Any]:
        assert isinstance(model, Causal)
        return self._foretold(model, batch, super().predict(model, batch))[1]

    def evaluate(self, model: nn.Module, batch: Batch) -> tuple[Tensor, list[Any]]:
        """The loss, and how well beginnings are foretold; nothing is written."""
        return self._foretold(model, batch, [Generated([], False, 0.0, 0.0)] * len(batch["answers"]))

    def _foretold(self, model: nn.Module, batch: Batch, written: Sequence[Generated]) -> tuple[Tensor, list[Foretold]]:
        losses: Tensor = model(**read_of(batch))
        of_rows = losses.double().split((batch["targets"] != IGNORED).sum(dim=1).tolist())
        begun = [of_row[: len(of_row) - rest] for of_row, rest in zip(of_rows, batch["answers"], strict=True)]
        found = [(one, float(nats.sum()), len(nats)) for one, nats in zip(written, begun, strict=True)]
        return losses.sum(), found

    def finish(self, rows: Rows, outputs: Outputs) -> list[Prediction]:
        return [self._continued(*of_row) for of_row in zip(rows["prompt"], outputs, strict=True)]

    def _continued(self, beginning: str, of_windows: list[Foretold]) -> Prediction:
        """How a text goes on, and what its beginning costs, whose first token follows nothing."""
        said, details = in_words(of_windows[0][0], self.tokenizer)
        first = self.tokenizer.decode(self._tokens([beginning])[0][:1])
        nats, foretold = sum(nats for _, nats, _ in of_windows), sum(count for _, _, count in of_windows)
        bytes_foretold = max(1, size(beginning) - size(first))
        return Prediction(
            said, details={**details, "nats": round(nats, 6), "foretold": foretold, "bytes": bytes_foretold}
        )

    def settle(self, ask: Callable[[Dataset], Outputs], validation: Dataset) -> dict[str, Any]:
        """No way to go on is wrong, so nothing is to be sure of."""
        return {"threshold": None}

    def statistics(self, predictions: list[Prediction], references: list[Any]) -> NDArray[np.float64]:
        sums = [[one.details[name] for name in COLUMNS] for one in predictions]
        return np.asarray(sums, dtype=np.float64).reshape(-1, len(COLUMNS))

    def score(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        return {"bits_per_byte": language_model.score(sums)["bits_per_byte"]}

    def same(self, old: Prediction, new: Prediction, tolerance: float) -> bool:
        """As well foretold; and the same text, or another one where two tokens were as likely."""
        if abs(old.details["nats"] - new.details["nats"]) > tolerance * old.details["foretold"]:
            return False
        return old.value == new.value or bool(min(one.details["gap"] for one in (old, new)) <= tolerance)

    def perturb(self, rows: Dataset) -> dict[str, list[Any]]:
        return {}

    def baselines(self, data: Data, source: Path) -> dict[str, Baseline]:
        train = training_rows(data, self.config.seed)
        texts = [beginning + rest for beginning, rest in zip(train["prompt"], train["reference"], strict=True)]
        return fit_each(
            {"bytes": lambda: Bytes(texts), "as_it_came": lambda: AsItCame(self, self.as_it_came(source))},
        )

    def load_baseline(self, folder: Path) -> Baseline:
        if read_json(folder / DESCRIPTION)["kind"] == "bytes":
            return Bytes(read_json(folder / BASELINE_ROWS)["texts"])
        return AsItCame(self, self.load(folder / "model"))


class Bytes(Baseline):
    """How likely the bytes of a text are after those of the training texts; it writes nothing."""

    title, short = f"a {ORDER}-gram of the training texts' bytes", "bytes"

    def __init__(self, texts: list[str]):
        self.texts, self.model = texts, ByteModel(texts, ORDER)

    def predict(self, inputs: list[Any]) -> list[Prediction]:
        return [Prediction("", details=self._details(text)) for text in inputs]

    def _details(self, text: str) -> dict[str, Any]:
        foretold = {"nats": self.model.nats(text), "foretold": size(text), "bytes": size(text)}
        return {"stopped": True, "tokens": 0, "gap": 1.0, **foretold}

    def save(self, folder: Path) -> None:
        write_json(folder / DESCRIPTION, {"kind": "bytes"})
        write_json(folder / BASELINE_ROWS, {"texts": self.texts})


def windows(beginning: list[int], rest: list[int], limit: int) -> list[Encoded]:
    """The tokens of a text in windows of at most `limit`, each of which begins with the last token before it.

    So every token but the first is learned, once. The `answer` of each is where the rest begins.
    """
    ids, found = beginning + rest, []
    for start in range(0, max(1, len(ids) - 1), limit - 1):
        part = ids[start : start + limit]
        answer = min(max(len(beginning) - start, 0), len(part))
        found.append(Encoded(part, list(range(1, len(part))), answer, beginning[-limit:]))
    return found


def size(text: str) -> int:
    """Bytes of a text."""
    return len(text.encode("utf-8", "surrogatepass"))
