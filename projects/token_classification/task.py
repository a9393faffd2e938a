"""Token classification: where in a text are names, and of which type?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
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
from common.evaluation import slices
from common.metrics import calibration, spans
from common.models.tokenizer import load_tokenizer
from common.models.weights import WithHead, auto
from common.system.errors import UserError
from common.task.contract import Baseline, Batch, Metric, Outputs, Prediction, Rows, Task

from .capitals import with_capitals
from .config import TokenClassificationConfig
from .entities import IGNORED, Entity, answer, entities_at, known, scored, surface_hash, tags_at, take_whole_words
from .evidence import by_entities, entity_sections, perturbed
from .windows import Window, best_windows, windows_of


class TokenClassification(WithHead, Task):
    """Encoder with a linear layer over each token; the first token of a word carries its tag."""

    title = "Token classification"
    question = "Where are the names in this text?"
    for_whom = (
        "For everybody who searches texts for names and wants to check what was found instead of reading everything."
    )
    intended_use = "Marking names like those of the training texts, with a person looking at what it is not sure of."
    pipeline_tag = "token-classification"
    pipeline_options = ', aggregation_strategy="first"'
    example = '"a text of yours"'
    config_class = TokenClassificationConfig
    input_columns = ("text",)
    auto_class = "AutoModelForTokenClassification"
    metrics = (
        Metric(
            "f1",
            title="entity F1",
            meaning="an entity is found where its type, its beginning and its end are right; the harmonic mean of the "
            "share of entities that are found and the share of answers that are right",
        ),
        Metric("precision"),
        Metric("recall"),
        Metric("lenient_f1", title="lenient entity F1, by whole words"),
    )

    @property
    def types(self) -> list[str]:
        """The types of entities, in the order of their numbers."""
        types: list[str] = self.settings["types"]
        return types

    # Rows

    def data(self) -> Data:
        from .rows import load_rows, types_in

        data = load_rows(self.config)
        self.settings["types"] = sorted({name for rows in data.splits.values() for name in types_in(rows)})
        train = data.splits["train"]
        pairs = [(text, known(entities)) for text, entities in zip(train["text"], train["reference"], strict=True)]
        self.settings["seen"] = sorted({surface_hash(text, entity) for text, entities in pairs for entity in entities})
        self.settings["whole_words"] = all(take_whole_words(text, entities) for text, entities in pairs)
        return data

    # Features: a window of a text

    def load_processor(self, source: Path) -> None:
        tokenizer = load_tokenizer(source, add_prefix_space=True)
        if not tokenizer.is_fast:
            problem = "has no fast tokenizer, which says where a token stands"
            raise UserError(f"{self.config.model} {problem}: choose another --model.")
        self.tokenizer = with_capitals(tokenizer) if self.config.mark_capitals else tokenizer
        # What the tokenizer puts around a text: a window is a text of its own.
        whole, bare = self.tokenizer("a")["input_ids"], self.tokenizer("a", add_special_tokens=False)["input_ids"]
        at = next(index for index in range(len(whole)) if whole[index : index + len(bare)] == bare)
        self.around = whole[:at], whole[at + len(bare) :]
        self.window = min(self.config.max_length, self.tokenizer.model_max_length)

    def encode(self, rows: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Windows of texts: `words` are (start, end, index in the text) of the words whose tags a window gives."""
        texts = list(rows["text"])
        tokens = self.tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        features: dict[str, list[Any]] = {name: [] for name in ("row", "input_ids", "first_tokens", "words", "length")}
        references = rows.get("reference")
        tags: list[list[int]] = []
        cut: list[int] = []
        for row in range(len(texts)):
            encoding = tokens.encodings[row]
            words, first = _words(encoding)
            row_tags, row_cut = tags_at(words, references[row], self.types) if references else ([], 0)
            before, after = self.around
            for window in windows_of(first, len(encoding.ids), self.window - len(before + after), self.config.stride):
                ids = [*before, *encoding.ids[window.first_token : window.last_token], *after]
                shift = len(before) - window.first_token
                inside = range(window.first_word, window.last_word)
                features["row"].append(row)
                features["input_ids"].append(ids)
                features["first_tokens"].append([first[word] + shift for word in inside])
                features["words"].append([[*words[word], word] for word in inside])
                features["length"].append(len(ids))
                tags.append([row_tags[word] for word in inside] if references else [])
                cut.append(row_cut)
        return features if references is None else {**features, "tags": tags, "cut": cut}

    def check_features(self, features: Dataset) -> list[Finding]:
        # The first window of each text, and how many it has.
        _, first, windows = np.unique(column(features, "row"), return_index=True, return_counts=True)
        cut = first[column(features, "cut")[first] > 0]
        within = "entities that begin or end within a word, or have no word"
        long = f"texts of more than {self.window} tokens, read in {int(windows[windows > 1].sum())} windows"
        return [
            *in_training(features, cut, within, "let them take whole words", "error"),
            *in_training(features, first[windows > 1], long, UNCUT),
        ]

    def collate(self, features: dict[str, list[Any]], epoch: int | None = None) -> Batch:
        size = (len(features["input_ids"]), max(features["length"]))
        input_ids = np.full(size, self.tokenizer.pad_token_id or 0, dtype=np.int64)  # (batch, tokens)
        mask = np.zeros(size, dtype=np.int64)
        targets = np.full(size, IGNORED, dtype=np.int64)
        for index, ids in enumerate(features["input_ids"]):
            input_ids[index, : len(ids)] = ids
            mask[index, : len(ids)] = 1
            if "tags" in features:
                targets[index, features["first_tokens"][index]] = features["tags"][index]
        if epoch is not None and self.config.mask_entities:
            self._mask_entities(input_ids, features, epoch)
        batch: Batch = {"input_ids": torch.from_numpy(input_ids), "attention_mask": torch.from_numpy(mask)}
        batch |= {
            name: [np.asarray(values, dtype=np.int64) for values in features[name]]
            for name in ("first_tokens", "words")
        }
        return {**batch, "labels": torch.from_numpy(targets)} if "tags" in features else batch

    def _mask_entities(self, input_ids: NDArray[np.int64], features: dict[str, list[Any]], epoch: int) -> None:
        """Hide the tokens of some entities, so that the model learns to know them by what stands around them."""
        for index, (row_id, first, tags) in enumerate(
            zip(features["id"], features["first_tokens"], features["tags"], strict=True)
        ):
            random = np.random.default_rng([self.config.seed, epoch, crc32(row_id.encode())])
            ends = [*first[1:], len(features["input_ids"][index]) - len(self.around[1])]
            hidden = False
            for start, end, tag in zip(first, ends, tags, strict=True):
                if tag > 0 and tag % 2 == 1:
                    hidden = random.random() < self.config.mask_entities
                if tag > 0 and hidden:
                    input_ids[index, start:end] = self.tokenizer.mask_token_id

    # Model

    def prepare(self, source: Path, train: Dataset) -> nn.Module:
        from common.models.heads import new_head

        from .head import start_token_head

        names = spans.tag_names(self.types)
        model = new_head(auto(self.auto_class), source, names, self.config.pretrained)
        if self.config.start_head and self.config.pretrained:
            start_token_head(self, model, train, len(names), self.config.seed)
        return model

    # Learning and answering

    def items(self, batch: Batch) -> int:
        return int((batch["labels"] != IGNORED).sum())

    def _logits(self, model: nn.Module, batch: Batch) -> Tensor:
        logits: Tensor = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        return logits.float()  # (batch, tokens, tags)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return self._loss(self._logits(model, batch), batch)

    def _loss(self, logits: Tensor, batch: Batch) -> Tensor:
        options = {"ignore_index": IGNORED, "reduction": "sum", "label_smoothing": self.config.label_smoothing}
        return nn.functional.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten(), **options)

    def predict(self, model: nn.Module, batch: Batch) -> list[Window]:
        return self._read(self._logits(model, batch), batch)

    def evaluate(self, model: nn.Module, batch: Batch) -> tuple[Tensor, list[Window]]:
        logits = self._logits(model, batch)
        return self._loss(logits, batch), self._read(logits, batch)

    def _read(self, logits: Tensor, batch: Batch) -> list[Window]:
        """Of each window its words, (words, 3), and their logits, (words, tags)."""
        whole = logits.cpu().numpy()
        pairs = zip(batch["first_tokens"], batch["words"], strict=True)
        return [(words.reshape(-1, 3), whole[index, first]) for index, (first, words) in enumerate(pairs)]

    def finish(self, rows: Rows, outputs: Outputs) -> list[Prediction]:
        return [self._answer(text, *best_windows(windows)) for text, windows in zip(rows["text"], outputs, strict=True)]

    def _answer(self, text: str, words: NDArray[np.int64], logits: NDArray[np.float32]) -> Prediction:
        """The entities of a text, given (words, 2) character spans of its words and their (words, tags) logits.

        An entity's confidence is the probability of its least probable tag; the text's that of its least sure entity,
        or of its least sure word where there is none. Details hold the smallest distance of the two most probable tags
        of a word: whether another machine may differ.
        """
        probabilities = calibration.probabilities(logits.astype(np.float64), self.settings.get("temperature", 1.0))
        tags = spans.decode(logits)
        chosen = probabilities[np.arange(len(tags)), tags]
        found = spans.spans_of(tags)
        confidences = [round(float(chosen[first:last].min()), 6) for first, last, _ in found]
        least = min(confidences) if confidences else round(float(chosen.min()), 6) if len(chosen) else 1.0
        two = np.sort(probabilities, axis=1)[:, -2:]
        details = {
            "confidences": confidences,
            "margin": round(float((two[:, 1] - two[:, 0]).min()), 6) if len(words) else 1.0,
        }
        sure = least >= (self.settings.get("threshold") or 0.0)
        return replace(answer(text, entities_at(words, found, self.types), details), confidence=least, sure=sure)

    def settle(self, ask: Callable[[Dataset], Outputs], validation: Dataset) -> dict[str, Any]:
        """The temperature of the tags' probabilities, and the confidence from which on an entity is sure.

        They are 1 and None where there are too few rows, or entities that are scored, to fit them.
        """
        if len(validation) < calibration.FEWEST_ROWS:
            return {"temperature": 1.0, "threshold": None}
        logits, true = [], []
        outputs = ask(validation)
        for windows, reference in zip(outputs, validation["reference"], strict=True):
            words, of_row = best_windows(windows)
            tags = np.asarray(tags_at(words, reference, self.types)[0], dtype=np.int64)
            logits.append(of_row[tags != IGNORED])
            true.append(tags[tags != IGNORED])
        temperature = calibration.fit_temperature(np.concatenate(logits).astype(np.float64), np.concatenate(true))
        self.settings["temperature"] = round(temperature, 6)
        confidence, right = [], []
        for prediction, reference in zip(self.finish(validation, outputs), validation["reference"], strict=True):
            for entity, its in zip(prediction.value, prediction.details["confidences"], strict=True):
                if scored([entity], reference):
                    confidence.append(its)
                    right.append(entity in reference)
        settled = {"temperature": self.settings["temperature"], "threshold": None}
        if len(right) < calibration.FEWEST_ROWS:
            return settled
        threshold = calibration.answer_threshold(np.asarray(confidence), np.asarray(right, dtype=bool))
        return {**settled, "threshold": round(threshold, 6)}

    # Evidence

    def statistics(self, predictions: list[Prediction], references: list[Any]) -> Any:
        """(n, 3 x types) strict counts, and as many lenient ones.

        Lenient: an answer takes whole words from blank to blank, as the tokens of a CoNLL file are and as published
        figures are counted. Where the training entities do not, both counts are the same.
        """
        from scipy.sparse import hstack

        strict = [prediction.value for prediction in predictions]
        whole = self.settings["whole_words"]
        lenient = [prediction.details.get("whole_words", prediction.value) for prediction in predictions]
        lenient = lenient if whole else strict
        true = [self._numbered(known(reference)) for reference in references]

        def counts(found: list[list[Entity]]) -> Any:
            kept = [
                self._numbered(scored(of_row, reference)) for of_row, reference in zip(found, references, strict=True)
            ]
            return spans.counts(kept, true, len(self.types))

        return hstack([counts(strict), counts(lenient)], format="csr")

    def _numbered(self, entities: list[Entity]) -> list[spans.Span]:
        number = {name: index for index, name in enumerate(self.types)}
        return [(entity["start"], entity["end"], number[entity["label"]]) for entity in entities]

    def score(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        strict, lenient = np.split(np.asarray(sums), 2, axis=-1)
        return {**spans.score(strict), "lenient_f1": spans.score(lenient)["f1"]}

    def compute_metrics(self, predictions: list[Prediction], references: list[Any]) -> dict[str, float]:
        from common.metrics.spans_modules import EntityScores

        pairs = zip(predictions, references, strict=True)
        found = [self._numbered(scored(prediction.value, reference)) for prediction, reference in pairs]
        true = [self._numbered(known(reference)) for reference in references]
        return EntityScores().compute(predictions=found, references=true) or {}

    def sections(self, records: list[dict[str, Any]]) -> dict[str, Any]:
        return entity_sections(records, self.types, set(self.settings["seen"]), self.config.seed)

    def same(self, old: Prediction, new: Prediction, tolerance: float) -> bool:
        """The same entities, or a word whose two most probable tags lie as near as the tolerance."""
        if "confidences" not in old.details:
            return bool(old.value == new.value and old.details == new.details)
        if old.details.keys() != new.details.keys() or len(old.details["confidences"]) != len(old.value):
            return False
        if old.value != new.value:
            return bool(min(old.details["margin"], new.details["margin"]) <= tolerance)
        pairs = zip(old.details["confidences"], new.details["confidences"], strict=True)
        near = abs((old.confidence or 0.0) - (new.confidence or 0.0)) <= tolerance
        sure = old.sure == ((old.confidence or 0.0) >= (self.settings["threshold"] or 0.0))
        return near and sure and all(abs(one - other) <= tolerance for one, other in pairs)

    def in_words(self, value: list[Entity], given: str) -> str:
        """`some words (TYPE), others (TYPE)`, without the parts whose type is not known."""
        return ", ".join(f"{given[entity['start'] : entity['end']]} ({entity['label']})" for entity in known(value))

    def about(self) -> str:
        return f"It finds {len(self.types)} types of entities: {', '.join(self.types)}."

    def slices(self, rows: Dataset, train: Dataset) -> Mapping[str, Sequence[str | None]]:
        return {**by_entities(rows, set(self.settings["seen"])), **slices.by_column(rows)}

    def perturb(self, rows: Dataset) -> dict[str, list[Any]]:
        return perturbed(rows, self.config.seed)

    # Baselines

    def baselines(self, data: Data, source: Path) -> dict[str, Baseline]:
        from .baselines import fit_baselines

        return fit_baselines(self, data, source, self.types)

    def load_baseline(self, folder: Path) -> Baseline:
        from .baselines import load

        return load(self, folder, self.types)


def _words(encoding: Any) -> tuple[list[tuple[int, int]], list[int]]:
    """The character spans of the words of an encoding that have tokens, and the index of the first token of each."""
    words: list[tuple[int, int]] = []
    first: list[int] = []
    before = None
    for token, (word, (start, end)) in enumerate(zip(encoding.word_ids, encoding.offsets, strict=True)):
        if word is None:
            continue
        if word != before:
            words.append((start, end))
            first.append(token)
            before = word
        else:
            words[-1] = (words[-1][0], max(end, words[-1][1]))
    return words, first


TASK = TokenClassification
