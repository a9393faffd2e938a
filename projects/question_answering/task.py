"""Question answering: where in a text does the answer to a question stand, if it does?"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor, nn

from common.data.features import column
from common.data.findings import UNCUT, Finding, in_training
from common.data.splits import Data
from common.metrics import answers, calibration
from common.models.tokenizer import load_tokenizer
from common.models.weights import WithHead, auto
from common.system.errors import UserError
from common.task.contract import Baseline, Batch, Metric, Outputs, Prediction, Rows, Task

from .config import QuestionAnsweringConfig
from .evidence import answer_sections, by_kind, perturbed
from .reading import Read, answer, best_score, read_windows, threshold_of

# Of a window that does not count: PyTorch's loss leaves it out.
IGNORED = -100
# An answer that shares less than this with the right one (F1) is taken for wrong where right or wrong is asked.
RIGHT = 0.5


# transformers has no pipeline for questions any more.
USAGE = """\
import json, torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

folder = "model"
tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForQuestionAnswering.from_pretrained(folder)
settings = json.load(open(f"{folder}/kit.json"))["settings"]


def ask(question, context):
    windows = tokenizer(
        question,
        context,
        truncation="only_second",
        max_length=settings["window"],
        stride=settings["stride"],
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    best, answer = -float("inf") if settings["no_answer"] is None else settings["no_answer"], ""
    for index, ids in enumerate(windows["input_ids"]):
        given = {name: torch.tensor([windows[name][index]]) for name in tokenizer.model_input_names}
        none = ids.index(tokenizer.cls_token_id)
        with torch.no_grad():
            start, end = (logits[0] - logits[0, none] for logits in model(**given).values())
        inside = torch.tensor([text == 1 for text in windows.sequence_ids(index)])
        spans = (inside[:, None] & inside).triu().tril(settings["longest"] - 1)
        scores = (start[:, None] + end).masked_fill(~spans, -float("inf"))
        if scores.max() > best:
            best, (first, last) = scores.max(), divmod(int(scores.argmax()), len(ids))
            answer = context[windows["offset_mapping"][index][first][0] : windows["offset_mapping"][index][last][1]]
    return answer


ask("What does it return?", "A text of yours.")
"""


class QuestionAnswering(WithHead, Task):
    """Encoder with two numbers for each token of the context: does the answer begin here, does it end here?"""

    title = "Question answering"
    question = "Where in the text does the answer stand?"
    for_whom = "For everybody who searches manuals for one sentence, and has to know when it is not there."
    intended_use = "Finding the place in a text that answers a question, with a person reading the text around it."
    pipeline_tag = "question-answering"
    usage = USAGE
    example = '\'{"question": "What does it return?", "context": "A text of yours."}\''
    config_class = QuestionAnsweringConfig
    input_columns = ("question", "context")
    auto_class = "AutoModelForQuestionAnswering"
    metrics = (
        Metric("f1", title="F1 of words", meaning="how many words the answer and a right one share; 1 where all"),
        Metric("exact_match", exact=True),
    )

    # Rows

    def data(self) -> Data:
        from .rows import load_rows

        return load_rows(self.config)

    # Features: a question with a window of its context

    def load_processor(self, source: Path) -> None:
        self.tokenizer = load_tokenizer(source)
        if not self.tokenizer.is_fast or self.tokenizer.cls_token_id is None:
            problem = "has no fast tokenizer with a token that can stand for no answer"
            raise UserError(f"{self.config.model} {problem}: choose another --model.")
        self.window = min(self.config.max_length, self.tokenizer.model_max_length)
        self.stride = min(self.config.stride, self.window // 4)

    def encode(self, rows: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Windows: tokens with the character `offsets` of those of the context, which begin at token `first`.

        `spans` are the first and last tokens of the answers in a window, counted from `first`; `counts` is False where
        an answer is cut by its edge, so that neither it nor "no answer" is right.
        """
        questions, cut = self._fitting(list(rows["question"]))
        options: dict[str, Any] = {"truncation": "only_second", "max_length": self.window, "stride": self.stride}
        options |= {"return_overflowing_tokens": True, "return_offsets_mapping": True, "verbose": False}
        found = self.tokenizer(questions, list(rows["context"]), **options)
        features: dict[str, list[Any]] = {
            name: [] for name in ("row", "input_ids", "types", "offsets", "first", "no_answer", "length", "cut")
        }
        labels: dict[str, list[Any]] = {"spans": [], "counts": [], "missed": []}
        references = rows.get("reference")
        for encoding, row in zip(found.encodings, found["overflow_to_sample_mapping"], strict=True):
            inside = [index for index, text in enumerate(encoding.sequence_ids) if text == 1]
            first, last = (inside[0], inside[-1] + 1) if inside else (0, 0)
            offsets = encoding.offsets[first:last]
            features["row"].append(row)
            features["input_ids"].append(encoding.ids)
            features["types"].append(encoding.type_ids)
            features["offsets"].append([place for offset in offsets for place in offset])
            features["first"].append(first)
            features["no_answer"].append(encoding.ids.index(self.tokenizer.cls_token_id))
            features["length"].append(len(encoding.ids))
            features["cut"].append(cut[row])
            if references is not None:
                spans, touched, missed = _spans(offsets, references[row])
                labels["spans"].append([token for span in spans for token in span])
                labels["counts"].append(bool(spans) or not touched)
                labels["missed"].append(missed)
        return features if references is None else {**features, **labels}

    def _fitting(self, questions: list[str]) -> tuple[list[str], list[bool]]:
        """The questions, the longest ones without their ends, so that half of a window is left for the context."""
        most = self.window // 2
        tokens = self.tokenizer(questions, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        ends = [offsets[most - 1][1] if len(offsets) > most else None for offsets in tokens["offset_mapping"]]
        pairs = zip(questions, ends, strict=True)
        return [text[:end] for text, end in pairs], [end is not None for end in ends]

    def check_features(self, features: Dataset) -> list[Finding]:
        first = np.unique(column(features, "row"), return_index=True)[1]  # one window of each row
        cut, missed = (column(features, name)[first] > 0 for name in ("cut", "missed"))
        windows = np.bincount(column(features, "row"))
        is_long = np.zeros(len(windows), dtype=bool)
        for row, spans in zip(column(features, "row").tolist(), features["spans"], strict=True):
            places = np.asarray(spans, dtype=np.int64).reshape(-1, 2)
            is_long[row] |= bool((places[:, 1] - places[:, 0] >= self.config.max_answer_tokens).any())
        in_windows = f"a window of {self.window}, read in {int(windows[windows > 1].sum())} windows"
        half, most = self.window // 2, self.config.max_answer_tokens
        warnings = (
            (windows > 1, f"contexts of more tokens than {in_windows}", UNCUT),
            (cut, f"questions of more than {half} tokens, whose ends are not read", "shorten them"),
            (missed, "answers that have no token, or begin or end within one", "the nearest tokens are learned"),
            (
                is_long,
                f"answers of more than {most} tokens, which the model cannot give",
                "raise --max_answer_tokens, or shorten them",
            ),
        )
        return [
            one for chosen, problem, remedy in warnings for one in in_training(features, first[chosen], problem, remedy)
        ]

    def collate(self, features: dict[str, list[Any]], epoch: int | None = None) -> Batch:
        size = (len(features["input_ids"]), max(features["length"]))
        input_ids = np.full(size, self.tokenizer.pad_token_id or 0, dtype=np.int64)  # (batch, tokens)
        types, mask = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
        in_context = np.zeros(size, dtype=bool)
        offsets = [np.asarray(of_window, dtype=np.int64).reshape(-1, 2) for of_window in features["offsets"]]
        for index, (ids, first) in enumerate(zip(features["input_ids"], features["first"], strict=True)):
            input_ids[index, : len(ids)], mask[index, : len(ids)] = ids, 1
            types[index, : len(ids)] = features["types"][index]
            # A token without a character, such as a lone word boundary, is no place for an answer.
            in_context[index, first : first + len(offsets[index])] = offsets[index][:, 0] < offsets[index][:, 1]
        numbers = {"input_ids": input_ids, "attention_mask": mask}
        if "token_type_ids" in self.tokenizer.model_input_names:
            numbers["token_type_ids"] = types
        numbers |= {"in_context": in_context, "no_answer": np.asarray(features["no_answer"], dtype=np.int64)}
        batch: Batch = {name: torch.from_numpy(values) for name, values in numbers.items()}
        batch |= {"first": features["first"], "offsets": offsets}
        if "spans" in features:
            batch["labels"] = torch.from_numpy(self._labels(features, epoch))
        return batch

    def _labels(self, features: dict[str, list[Any]], epoch: int | None) -> NDArray[np.int64]:
        """(batch, 2) first and last token of an answer, or twice the token of no answer.

        Of several right answers another one is learned in each epoch.
        """
        labels = np.full((len(features["spans"]), 2), IGNORED, dtype=np.int64)
        for index, (spans, counts) in enumerate(zip(features["spans"], features["counts"], strict=True)):
            if spans:
                turn = 0 if epoch is None else epoch + crc32(features["id"][index].encode())
                at = 2 * (turn % (len(spans) // 2))
                labels[index] = np.asarray(spans[at : at + 2]) + features["first"][index]
            elif counts:
                labels[index] = features["no_answer"][index]
        return labels

    # Model

    def prepare(self, source: Path, train: Dataset) -> nn.Module:
        from common.models.heads import new_head

        return new_head(auto(self.auto_class), source, ["start", "end"], self.config.pretrained)

    # Learning and answering

    def items(self, batch: Batch) -> int:
        return int((batch["labels"] != IGNORED).sum())

    def _logits(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """(batch, tokens) logits of start and end, -inf outside of the context and of the token of no answer."""
        names = ("input_ids", "attention_mask", "token_type_ids")
        output = model(**{name: batch[name] for name in names if name in batch})
        outside = ~batch["in_context"].scatter(1, batch["no_answer"][:, None], True)
        start, end = (
            logits.float().masked_fill(outside, -torch.inf) for logits in (output.start_logits, output.end_logits)
        )
        return start, end

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return _loss(self._logits(model, batch), batch)

    def predict(self, model: nn.Module, batch: Batch) -> list[Read]:
        return read_windows(*self._logits(model, batch), batch, self.config.max_answer_tokens)

    def evaluate(self, model: nn.Module, batch: Batch) -> tuple[Tensor, list[Read]]:
        logits = self._logits(model, batch)
        return _loss(logits, batch), read_windows(*logits, batch, self.config.max_answer_tokens)

    def finish(self, rows: Rows, outputs: Outputs) -> list[Prediction]:
        threshold, sure_from = self.settings.get("no_answer", 0.0), self.settings.get("threshold") or 0.0
        pairs = zip(rows["context"], outputs, strict=True)
        return [answer(context, windows, threshold, sure_from) for context, windows in pairs]

    def settle(self, ask: Callable[[Dataset], Outputs], validation: Dataset) -> dict[str, Any]:
        """How much likelier than none an answer has to be to be given, and the confidence from which on it is sure.

        With few validation rows the first stays at even odds, and the second is None. Beside them stands how contexts
        are cut into windows, for whoever asks the model without the kit.
        """
        reading = {"window": self.window, "stride": self.stride, "longest": self.config.max_answer_tokens}
        if len(validation) < calibration.FEWEST_ROWS:
            return {**reading, "no_answer": 0.0, "threshold": None}
        outputs = ask(validation)
        self.settings["no_answer"] = choose_threshold(self, validation, outputs)
        predictions = self.finish(validation, outputs)
        scores = self.statistics(predictions, validation["reference"])[:, 0]
        confidence = np.asarray([prediction.confidence for prediction in predictions])
        threshold = calibration.answer_threshold(confidence, scores >= RIGHT)
        return {**reading, "no_answer": self.settings["no_answer"], "threshold": round(threshold, 6)}

    # Evidence

    def statistics(self, predictions: list[Prediction], references: list[Any]) -> NDArray[np.float64]:
        return answers.statistics([one.value for one in predictions], list(map(_texts, references)))

    def score(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        return answers.score(sums)

    def compute_metrics(self, predictions: list[Prediction], references: list[Any]) -> dict[str, float]:
        from common.metrics.answers_modules import AnswerScores

        found = AnswerScores().compute(
            predictions=[one.value for one in predictions], references=list(map(_texts, references))
        )
        return found or {}

    def sections(self, records: list[dict[str, Any]]) -> dict[str, Any]:
        return answer_sections(self, records)

    def same(self, old: Prediction, new: Prediction, tolerance: float) -> bool:
        """The same answer as sure, or another one where the two likeliest lie as near as the tolerance."""
        if "gap" not in old.details:
            return bool(old.value == new.value)
        if old.value != new.value:
            return bool(min(old.details["gap"], new.details["gap"]) <= tolerance)
        return abs((old.confidence or 0.0) - (new.confidence or 0.0)) <= tolerance

    def in_words(self, value: Any, given: Any) -> str:
        """The right answers once each, or an answer; what there is where there is none."""
        texts = [value] if isinstance(value, str) else list(dict.fromkeys(_texts(value)))
        return " | ".join(filter(None, texts)) or "no answer in this text"

    def in_lines(self, prediction: Prediction) -> list[str]:
        """The answer, and the next likeliest ones, with their probabilities."""
        said = [(prediction.confidence or 0.0, prediction.value)]
        others = [(one["probability"], one["text"]) for one in prediction.details["others"]]
        none = [(prediction.details["none"], "")] if prediction.value else []
        every = [*said, *others, *none]
        lines = [f"{probability:6.1%}  {text or 'no answer in this text'}" for probability, text in every]
        return [f"{lines[0]}{'' if prediction.sure else ' (not sure)'}", *lines[1:]]

    def about(self) -> str:
        if self.settings.get("no_answer") is None:
            return "It answers every question: the rows that it learned from have an answer each."
        return "Where a text does not answer a question, it says so."

    def slices(self, rows: Dataset, train: Dataset) -> Mapping[str, Sequence[str | None]]:
        return by_kind(self, rows)

    def perturb(self, rows: Dataset) -> dict[str, list[Any]]:
        return perturbed(self, rows)

    # Baselines

    def baselines(self, data: Data, source: Path) -> dict[str, Baseline]:
        from .baselines import fit_baselines

        return fit_baselines(self, data, source)

    def load_baseline(self, folder: Path) -> Baseline:
        from .baselines import load

        return load(self, folder)


def choose_threshold(task: Task, validation: Dataset, outputs: Outputs) -> float | None:
    """The threshold of the scores of windows from which on it is best to answer."""
    given = [answer(context, of_row, None, 0.0) for context, of_row in zip(validation["context"], outputs, strict=True)]
    if_answered = np.asarray(task.statistics(given, validation["reference"]))[:, 0]
    unanswerable = np.asarray([answers.right_texts(_texts(one)) == [""] for one in validation["reference"]])
    return threshold_of(np.asarray([best_score(of_row) for of_row in outputs]), if_answered, unanswerable)


def _texts(reference: list[dict[str, Any]]) -> list[str]:
    return [one["text"] for one in reference]


def _loss(logits: tuple[Tensor, Tensor], batch: Batch) -> Tensor:
    """The summed cross-entropies of the first and of the last tokens."""
    losses = [
        nn.functional.cross_entropy(of_end, batch["labels"][:, at], ignore_index=IGNORED, reduction="sum")
        for at, of_end in enumerate(logits)
    ]
    return losses[0] + losses[1]


def _spans(offsets: list[tuple[int, int]], reference: list[dict[str, Any]]) -> tuple[list[tuple[int, int]], bool, bool]:
    """First and last token of each answer that is whole in a window, given the offsets of the window's tokens.

    Also whether an answer is in the window at all, and whether one has other edges than its tokens, or no token.
    """
    places = np.asarray(offsets, dtype=np.int64).reshape(-1, 2)
    spans, touched, missed = [], False, False
    for one in reference:
        start, end = one["start"], one["start"] + len(one["text"])
        inside = np.flatnonzero((places[:, 0] < end) & (places[:, 1] > start))
        if not len(places) or places[-1, 1] <= start or end <= places[0, 0]:
            continue
        touched = True
        if len(inside) and places[0, 0] <= start and end <= places[-1, 1]:
            spans.append((int(inside[0]), int(inside[-1])))
            missed |= bool(places[inside[0], 0] != start or places[inside[-1], 1] != end)
        missed |= not len(inside)
    return spans, touched, missed


TASK = QuestionAnswering
