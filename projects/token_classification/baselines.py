"""What finds entities without fine-tuning: known names, a word's usual tag, shapes of words, the frozen encoder."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from common.data.features import by_row, encoded, in_memory
from common.data.splits import Data
from common.evaluation.baselines import DESCRIPTION, WEIGHTS, fit_each, training_rows
from common.metrics import spans
from common.models import regression
from common.models.heads import probe
from common.models.weights import load_model
from common.system.files import read_json, write_json, written_with_safetensors
from common.task.contract import Baseline, Prediction, Task

from .entities import Entity, answer, entities_at, known, tags_at
from .head import labelled_words, word_vectors
from .windows import best_windows

WORD = re.compile(r"\w+|[^\w\s]")
# Hashed features of a word and its neighbours, fewer for many tags; the inverse strength of the regression's penalty.
SHAPE_FEATURES, SHAPE_STRENGTH = 2**18, 3.0


def words_of(text: str) -> list[tuple[int, int, str]]:
    """(start, end, word without case) of the words and signs of a text."""
    return [(match.start(), match.end(), match[0].casefold()) for match in WORD.finditer(text)]


def labelled_texts(rows: Dataset) -> Iterator[tuple[str, list[Entity]]]:
    """Texts with their labelled entities."""
    for text, reference in zip(rows["text"], rows["reference"], strict=True):
        yield text, known(reference)


class Gazetteer(Baseline):
    """Finds again the names of the training texts: the longest one at each place, with the label it had most often."""

    title, short = "names of the training texts, longest match", "names"

    def __init__(self, labels: dict[str, str]):
        self.labels = labels
        self.longest = max((name.count(" ") + 1 for name in labels), default=0)

    @classmethod
    def fit(cls, rows: Dataset) -> "Gazetteer":
        """The names in these rows that are names there in at least half of the places where they occur."""
        count: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for text, entities in labelled_texts(rows):
            for entity in entities:
                name = " ".join(word for _, _, word in words_of(text[entity["start"] : entity["end"]]))
                count[name][entity["label"]] += 1
        every = cls({name: labels.most_common(1)[0][0] for name, labels in count.items() if name})
        occurs = Counter(name for text in rows["text"] for _, _, name in every.matches(text))
        return cls({name: label for name, label in every.labels.items() if 2 * count[name].total() >= occurs[name]})

    def predict(self, inputs: list[str]) -> list[Prediction]:
        return [
            answer(
                text,
                [{"start": start, "end": end, "label": self.labels[name]} for start, end, name in self.matches(text)],
            )
            for text in inputs
        ]

    def matches(self, text: str) -> Iterator[tuple[int, int, str]]:
        """(start, end, name) of the known names in a text, from left to right, the longest at each place."""
        words, first = words_of(text), 0
        while first < len(words):
            for last in range(min(len(words), first + self.longest), first, -1):
                name = " ".join(word for _, _, word in words[first:last])
                if name in self.labels:
                    yield words[first][0], words[last - 1][1], name
                    first = last - 1
                    break
            first += 1

    def save(self, folder: Path) -> None:
        write_json(folder / DESCRIPTION, {"kind": "gazetteer", "labels": self.labels})


class UsualTags(Baseline):
    """Gives each word the tag that it had most often in training; unknown words are outside."""

    title, short = "the usual tag of each word", "words"

    def __init__(self, tags: dict[str, int], types: list[str]):
        self.tags, self.types = tags, types

    @classmethod
    def fit(cls, rows: Dataset, types: list[str]) -> "UsualTags":
        """The tags in these rows."""
        count: defaultdict[str, Counter[int]] = defaultdict(Counter)
        for text, entities in labelled_texts(rows):
            tag_at: dict[int, int] = {}
            for entity in entities:
                tag = 2 * types.index(entity["label"]) + 1
                tag_at |= dict.fromkeys(range(entity["start"], entity["end"]), tag + 1)
                tag_at[entity["start"]] = tag
            for start, _, word in words_of(text):
                count[word][tag_at.get(start, 0)] += 1
        return cls(
            {word: tags.most_common(1)[0][0] for word, tags in count.items() if tags.most_common(1)[0][0]}, types
        )

    def predict(self, inputs: list[str]) -> list[Prediction]:
        return [answer(text, self._found(text)) for text in inputs]

    def _found(self, text: str) -> list[Entity]:
        words = words_of(text)
        found = spans.spans_of([self.tags.get(word, 0) for _, _, word in words], lenient=True)
        return [
            {"start": words[first][0], "end": words[last - 1][1], "label": self.types[kind]}
            for first, last, kind in found
        ]

    def save(self, folder: Path) -> None:
        write_json(folder / DESCRIPTION, {"kind": "usual_tags", "tags": self.tags, "types": self.types})


class Shapes(Baseline):
    """Logistic regression on each word's letters, ends and shape (`Xx_x`), and on those of two words to either side."""

    title, short = "logistic regression on words, their ends and shapes", "shapes"

    def __init__(self, types: list[str], weight: Any, bias: Any):
        self.types, self.weight, self.bias = types, weight, bias

    @classmethod
    def fit(cls, rows: Dataset, types: list[str]) -> "Shapes":
        """Fitted on the words of these rows whose tags are known."""
        texts, tags = list(rows["text"]), []
        for text, reference in zip(texts, rows["reference"], strict=True):
            tags += tags_at([(start, end) for start, end, _ in words_of(text)], reference, types)[0]
        known_tags, classes = np.asarray(tags), 2 * len(types) + 1
        width = SHAPE_FEATURES
        while not regression.is_affordable(classes, width):
            width //= 2
        weight, bias = np.zeros((classes, width), np.float32), np.full(classes, -30.0)
        fitted = regression.fit(_shapes(texts, width)[known_tags >= 0], known_tags[known_tags >= 0], SHAPE_STRENGTH)
        weight[fitted.classes_], bias[fitted.classes_] = regression.linear(fitted)
        return cls(types, weight, bias)

    def predict(self, inputs: list[str]) -> list[Prediction]:
        words = [words_of(text) for text in inputs]
        logits = _shapes(inputs, self.weight.shape[1]) @ self.weight.T + self.bias
        ends = np.cumsum([len(of_text) for of_text in words])
        answers = []
        for text, of_text, of_words in zip(inputs, words, np.split(logits, ends[:-1]), strict=True):
            places = np.asarray([(start, end) for start, end, _ in of_text], dtype=np.int64).reshape(-1, 2)
            found = spans.spans_of(spans.decode(of_words))
            answers.append(answer(text, entities_at(places, found, self.types)))
        return answers

    def save(self, folder: Path) -> None:
        from safetensors.numpy import save_file

        write_json(folder / DESCRIPTION, {"kind": "shapes", "types": self.types})
        with written_with_safetensors(folder):
            save_file({"weight": self.weight, "bias": np.asarray(self.bias)}, folder / WEIGHTS)


def _shapes(texts: list[str], width: int) -> Any:
    """(words, width) sparse counts of what each word of the texts looks like."""
    from sklearn.feature_extraction import FeatureHasher

    hasher = FeatureHasher(width, input_type="string", alternate_sign=False, dtype=np.float32)
    return hasher.transform(features for text in texts for features in _looks(text))


def _looks(text: str) -> Iterator[list[str]]:
    """The features of each word of a text."""
    words = [text[start:end] for start, end, _ in words_of(text)]
    shapes = [_shape(word) for word in words]
    for index, word in enumerate(words):
        features = ["word", *(f"{end}={part.casefold()}" for end, part in zip("abcd", _ends(word), strict=True))]
        for offset in range(-2, 3):
            inside = 0 <= index + offset < len(words)
            features.append(f"{offset}w={words[index + offset].casefold() if inside else ''}")
            features.append(f"{offset}s={shapes[index + offset] if inside else ''}")
        yield features


def _ends(word: str) -> tuple[str, str, str, str]:
    return word[:2], word[:3], word[-2:], word[-3:]


def _shape(word: str) -> str:
    """`Conv2d` as `Xx+dx`: capitals, small letters and digits, repeated ones once."""
    shape = re.sub(r"[^\W\d_]", lambda match: "X" if match[0].isupper() else "x", word)
    return re.sub(r"(.)\1+", r"\1+", re.sub(r"\d", "d", shape))


class FrozenTokens(Baseline):
    """Logistic regression on the pretrained encoder's vector of each word, decoded as the model's tags are."""

    title, short = "frozen encoder + logistic regression", "frozen"

    def __init__(self, task: Task, types: list[str], encoder: Any, weight: Any, bias: Any):
        self.task, self.types, self.encoder, self.weight, self.bias = task, types, encoder, weight, bias

    @classmethod
    def fit(cls, task: Task, types: list[str], rows: Dataset, source: Path) -> "FrozenTokens":
        """Fitted on words of these rows."""
        encoder = _encoder(source, complete=False)
        features = encoded(task.encode, rows)
        vectors, tags = labelled_words(task, encoder, features, task.config.seed, "frozen encoder")
        weight, bias = probe(vectors, tags, 2 * len(types) + 1)
        return cls(task, types, encoder, weight, bias)

    def predict(self, inputs: list[str]) -> list[Prediction]:
        features = in_memory(self.task.encode, self.task.rows(inputs))
        vectors = word_vectors(self.task, self.encoder, features, "frozen encoder" if len(inputs) > 1 else "")
        windows = [
            (
                np.asarray(words, dtype=np.int64).reshape(-1, 3),
                (of_window @ self.weight.T + self.bias).astype(np.float32),
            )
            for words, of_window in zip(features["words"], vectors, strict=True)
        ]
        answers = []
        for text, of_row in zip(inputs, by_row(windows, features, len(inputs)), strict=True):
            words, logits = best_windows(of_row)
            found = spans.spans_of(spans.decode(logits))
            answers.append(answer(text, entities_at(words, found, self.types)))
        return answers

    def save(self, folder: Path) -> None:
        from safetensors.numpy import save_file

        write_json(folder / DESCRIPTION, {"kind": "frozen_encoder"})
        with written_with_safetensors(folder):
            tensors = {"weight": np.ascontiguousarray(self.weight), "bias": np.ascontiguousarray(self.bias)}
            save_file(tensors, folder / WEIGHTS)
            self.encoder.save_pretrained(folder / "encoder")


def _encoder(folder: Path, complete: bool) -> Any:
    from transformers import AutoModel

    return load_model(AutoModel, folder, complete)


def fit_baselines(task: Task, data: Data, source: Path, types: list[str]) -> dict[str, Baseline]:
    """The four, on the model's training rows."""
    rows = training_rows(data, task.config.seed, _types_in)
    return fit_each(
        {
            "gazetteer": lambda: Gazetteer.fit(rows),
            "usual_tags": lambda: UsualTags.fit(rows, types),
            "shapes_logistic_regression": lambda: Shapes.fit(rows, types),
            "frozen_encoder_logistic_regression": lambda: FrozenTokens.fit(task, types, rows, source),
        }
    )


def _types_in(entities: list[Entity]) -> str:
    """The types of a text's entities: rows of each combination are drawn, as far as there are any."""
    return ", ".join(sorted({entity["label"] for entity in known(entities)}))


def load(task: Task, folder: Path, types: list[str]) -> Baseline:
    """The baseline that `save` wrote."""
    from safetensors.numpy import load_file

    description = read_json(folder / DESCRIPTION)
    if description["kind"] == "gazetteer":
        return Gazetteer(description["labels"])
    if description["kind"] == "usual_tags":
        return UsualTags(description["tags"], description["types"])
    tensors = load_file(folder / WEIGHTS)
    if description["kind"] == "shapes":
        return Shapes(description["types"], tensors["weight"], tensors["bias"])
    return FrozenTokens(task, types, _encoder(folder / "encoder", complete=True), tensors["weight"], tensors["bias"])
