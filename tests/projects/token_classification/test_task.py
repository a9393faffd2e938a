"""Windows, tags, decoding, scores: each against a plain way to say the same."""

import importlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from common.config import parse
from common.data.features import by_row, in_memory
from common.metrics import spans
from common.predictor import Predictor
from common.run import Run
from common.system.files import read_json
from common.task.contract import Prediction
from common.task.projects import load_task_class
from common.verify import verify

from .conftest import PROJECT
from .rows import weather_reports

TASK = load_task_class(PROJECT)


def module(name: str) -> Any:
    return importlib.import_module(f"projects.{PROJECT}.{name}")


@pytest.fixture(scope="module")
def task(tiny_model: Path) -> Any:
    task = TASK(parse(TASK.config_class, ["--train_file", "none", "--max_length", "16", "--stride", "8"]))
    task.settings = {"types": ["food", "weather"], "seen": [], "whole_words": False}
    task.load_processor(tiny_model)
    return task


def long_row(words: int) -> dict[str, Any]:
    """A text of so many words, every tenth of which is an entity."""
    text, entities = "", []
    for number in range(words):
        word = "rain" if number % 10 == 0 else "the"
        if word == "rain":
            entities.append({"start": len(text), "end": len(text) + 4, "label": "weather"})
        text += word + " "
    return {"text": text.strip(), "reference": entities}


def encoded(task: Any, rows: list[dict[str, Any]]) -> Any:
    return in_memory(task.encode, {name: [row[name] for row in rows] for name in ("text", "reference")})


def test_every_word_of_a_text_of_2000_words_is_predicted_exactly_once(task: Any) -> None:
    rows = [long_row(2_000), long_row(3)]
    features = encoded(task, rows)
    assert max(features["length"]) <= 16 and len(features) > 150
    outputs = [
        (np.asarray(words, dtype=np.int64).reshape(-1, 3), np.eye(5, dtype=np.float32)[tags] * 9)
        for words, tags in zip(features["words"], features["tags"], strict=True)
    ]
    answers = task.finish({"text": [row["text"] for row in rows]}, by_row(outputs, features, len(rows)))
    for answer, row in zip(answers, rows, strict=True):
        assert answer.value == row["reference"]
    words, _ = module("windows").best_windows(by_row(outputs, features, 2)[0])
    assert len(words) == 2_000 and (np.diff(words[:, 0]) > 0).all()


def test_a_word_is_read_where_it_stands_furthest_from_an_edge(task: Any) -> None:
    features = encoded(task, [long_row(40)])
    inner = [
        (np.asarray(words).reshape(-1, 3), np.full((len(words), 5), index, dtype=np.float32))
        for index, words in enumerate(features["words"])
    ]
    _, chosen = module("windows").best_windows(inner)
    taken = chosen[:, 0].astype(int)
    for word, window in enumerate(taken):
        margins = {}
        for index, (words, _) in enumerate(inner):
            place = np.flatnonzero(words[:, 2] == word)
            if len(place):
                before = np.inf if index == 0 else place[0]
                after = np.inf if index == len(inner) - 1 else len(words) - 1 - place[0]
                margins[index] = min(before, after)
        assert margins[window] == max(margins.values())


@pytest.mark.parametrize("words", [1, 2, 13, 14, 15, 16, 40])
@pytest.mark.parametrize("stride", [1, 4, 13])
def test_windows_cover_all_tokens_and_fit(words: int, stride: int) -> None:
    first = list(range(0, 2 * words, 2))  # two tokens each
    cuts = module("windows").windows_of(first, 2 * words, 14, stride)
    assert all(cut.last_token - cut.first_token <= 14 for cut in cuts)
    assert sorted({word for cut in cuts for word in range(cut.first_word, cut.last_word)}) == list(range(words))
    assert {cut.first_token for cut in cuts} <= set(first)


def test_a_word_longer_than_a_window_loses_no_other_word() -> None:
    cuts = module("windows").windows_of([0, 2, 60], 62, 14, 4)
    assert sorted({word for cut in cuts for word in range(cut.first_word, cut.last_word)}) == [0, 1, 2]
    assert all(cut.last_token - cut.first_token <= 14 for cut in cuts)


def test_only_the_first_token_of_a_word_carries_its_tag_and_unknown_parts_none(task: Any) -> None:
    row = {
        "text": "rain soup the",
        "reference": [{"start": 0, "end": 4, "label": "weather"}, {"start": 5, "end": 9, "label": None}],
    }
    features = encoded(task, [row])
    assert features["tags"] == [[3, -100, 0]]
    batch = task.collate({name: features[name] for name in features.columns})
    assert task.items(batch) == 2
    assert batch["labels"].tolist() == [[-100, 3, -100, 0, -100]]


def test_a_text_without_a_token_has_no_entity(task: Any) -> None:
    texts = ["", "\u200b", "rain"]
    features = in_memory(task.encode, {"text": texts})
    outputs = [(np.asarray(w).reshape(-1, 3), np.zeros((len(w), 5), np.float32)) for w in features["words"]]
    assert [answer.value for answer in task.finish({"text": texts}, by_row(outputs, features, 3))] == [[], [], []]


def brute_force(logits: np.ndarray) -> float:
    """The score of the best tags among all that follow the rules."""
    import itertools

    words, tags = logits.shape
    allowed = [
        path
        for path in itertools.product(range(tags), repeat=words)
        if all(t == 0 or t % 2 == 1 or (i and path[i - 1] in (t, t - 1)) for i, t in enumerate(path))
    ]
    return max(sum(logits[i, t] for i, t in enumerate(path)) for path in allowed)


@pytest.mark.parametrize("seed", range(20))
def test_decoding_is_the_best_of_all_allowed_tags(seed: int) -> None:
    logits = np.random.default_rng(seed).normal(size=(5, 5))
    path = spans.decode(logits)
    assert all(t == 0 or t % 2 == 1 or (i and path[i - 1] in (t, t - 1)) for i, t in enumerate(path))
    assert sum(logits[i, t] for i, t in enumerate(path)) == pytest.approx(brute_force(logits))


def test_strict_and_lenient_reading_differ_where_an_entity_begins_with_i() -> None:
    tags = [2, 2, 0, 1, 4, 3, 4]  # I-a I-a O B-a I-b B-b I-b
    assert spans.spans_of(tags) == [(3, 4, 0), (5, 7, 1)]
    assert spans.spans_of(tags, lenient=True) == [(0, 2, 0), (3, 4, 0), (4, 5, 1), (5, 7, 1)]


def test_scores_are_those_of_the_evaluate_module(task: Any) -> None:
    random = np.random.default_rng(0)

    def any_entities() -> list[dict[str, Any]]:
        starts = np.sort(random.choice(10, size=random.integers(0, 4), replace=False))
        return [{"start": int(s) * 5, "end": int(s) * 5 + 4, "label": str(random.choice(task.types))} for s in starts]

    references = [any_entities() for _ in range(50)]
    answers = [r if random.random() < 0.5 else any_entities() for r in references]
    predictions = [Prediction(value) for value in answers]
    scores = task.score(np.asarray(task.statistics(predictions, references).sum(axis=0)))
    by_module = task.compute_metrics(predictions, references)
    assert set(by_module) == {"f1", "precision", "recall"}
    for name, value in by_module.items():
        assert float(scores[name]) == pytest.approx(value, abs=1e-12)


def test_the_lenient_figure_counts_whole_words_where_the_training_rows_do(task: Any) -> None:
    """As conlleval counts the tags of a CoNLL file's tokens."""
    entities = module("entities")
    random = np.random.default_rng(0)
    references, predictions, true_tags, found_tags = [], [], [], []
    for _ in range(60):
        tokens = ["#" * int(random.integers(0, 2)) + "word" for _ in range(8)]
        kinds = [str(random.choice(["O", "B-food", "I-food", "B-weather", "I-weather"])) for _ in tokens]
        row = entities.from_tags(tokens, kinds)
        inside = [  # a prediction that leaves the sign before a word out
            {**entity, "start": entity["start"] + (row["text"][entity["start"]] == "#")}
            for entity in row["reference"]
            if random.random() < 0.7
        ]
        predictions.append(entities.answer(row["text"], inside))
        references.append(row["reference"])
        starts = [int(start) for start in np.cumsum([0, *(len(token) + 1 for token in tokens)])[:-1]]
        spans_of_tokens = list(zip(starts, (s + len(t) for s, t in zip(starts, tokens, strict=True)), strict=True))
        for entities_of_row, tags in ((row["reference"], true_tags), (inside, found_tags)):
            numbers, _ = entities.tags_at(spans_of_tokens, entities_of_row, task.types)
            tags.append(set(spans.spans_of(numbers, lenient=True)))
    task.settings["whole_words"] = True
    lenient = task.score(np.asarray(task.statistics(predictions, references).sum(axis=0)))
    task.settings["whole_words"] = False
    right = sum(len(true & found) for true, found in zip(true_tags, found_tags, strict=True))
    f1 = 2 * right / sum(len(of_row) for of_row in [*true_tags, *found_tags])
    assert float(lenient["lenient_f1"]) == pytest.approx(f1, abs=1e-12)
    assert float(lenient["lenient_f1"]) > float(lenient["f1"]) + 0.1


def test_an_answer_is_widened_to_the_words_that_it_touches() -> None:
    entities = module("entities")
    text = " see (New York), please"

    def entity(start: int, end: int) -> dict[str, Any]:
        return {"start": start, "end": end, "label": "city"}

    assert entities.widened(text, [entity(6, 14)]) == [entity(5, 16)]
    assert entities.widened(text, [entity(6, 9), entity(10, 14)]) == [entity(5, 9), entity(10, 16)]
    assert entities.widened(text, [entity(5, 6), entity(6, 9)]) == [entity(5, 9)]
    assert entities.take_whole_words("New York", [entity(0, 8)]) and not entities.take_whole_words(text, [entity(6, 9)])


def test_what_touches_an_unknown_part_is_not_scored(task: Any) -> None:
    reference = [{"start": 0, "end": 4, "label": "weather"}, {"start": 10, "end": 14, "label": None}]
    found = [reference[0], {"start": 10, "end": 14, "label": "food"}]
    sums = task.statistics([Prediction(found)], [reference]).sum(axis=0)
    assert float(task.score(np.asarray(sums))["f1"]) == 1.0


@pytest.mark.slow
def test_the_run_has_evidence_and_is_verified(finished_entity_run: Run) -> None:
    results = read_json(finished_entity_run.results)
    assert results["metrics"]["f1"]["value"] > 0.4
    assert {"entities", "false_alarms"} <= results["sections"].keys()
    assert set(results["baselines"]) == {
        "gazetteer",
        "usual_tags",
        "shapes_logistic_regression",
        "frozen_encoder_logistic_regression",
    }
    page = finished_entity_run.report.read_text(encoding="utf-8")
    assert "Name by name" in page and "No name in the text:" in page
    assert not [check for check in verify(finished_entity_run.folder) if check.differences]


@pytest.mark.slow
def test_a_change_of_an_answer_is_found(finished_entity_run: Run, tmp_path: Path) -> None:
    import shutil

    copy = Run(tmp_path / "copy")
    shutil.copytree(finished_entity_run.folder, copy.folder)
    lines = copy.predictions.read_text(encoding="utf-8").splitlines()
    record = next(json.loads(line) for line in lines if json.loads(line)["prediction"]["value"])
    number = next(i for i, line in enumerate(lines) if json.loads(line)["id"] == record["id"])
    record["prediction"]["value"][0]["label"] = {"food": "weather", "weather": "food"}[
        record["prediction"]["value"][0]["label"]
    ]
    lines[number] = json.dumps(record)
    copy.predictions.write_text("\n".join(lines) + "\n", encoding="utf-8")
    failed = [check.name for check in verify(copy.folder) if check.differences]
    assert "answers of the model and the kept baseline" in failed


@pytest.mark.slow
def test_baselines_answer_the_same_after_saving(finished_entity_run: Run, tmp_path: Path) -> None:
    predictor = Predictor.load(finished_entity_run.folder)
    task = predictor.task
    data = task.data()
    texts = list(data.splits["test"]["text"])
    for name, baseline in task.baselines(data, Path(task.config.model)).items():
        folder = tmp_path / name
        folder.mkdir()
        baseline.save(folder)
        assert task.load_baseline(folder).predict(texts) == baseline.predict(texts), name


@pytest.mark.slow
def test_transformers_pipeline_gives_the_same_entities(finished_entity_run: Run) -> None:
    """The pipeline reads the most probable tags, without constraints: the same where no I begins an entity."""
    from transformers import pipeline

    predictor = Predictor.load(finished_entity_run.folder)
    find = pipeline("token-classification", model=str(finished_entity_run.model), aggregation_strategy="first")
    texts = [row["text"] for row in weather_reports(60, seed=3)]
    same = 0
    rows = predictor.task.rows(texts)
    outputs = predictor.outputs(in_memory(predictor.task.encode, rows), len(texts))
    for text, answer, windows in zip(texts, predictor.predict(texts), outputs, strict=True):
        theirs = [{"start": e["start"], "end": e["end"], "label": e["entity_group"]} for e in find(text)]
        words, logits = module("windows").best_windows(windows)
        most_probable = spans.spans_of(logits.argmax(axis=1), lenient=True)
        assert theirs == module("entities").entities_at(words, most_probable, predictor.task.types)
        same += theirs == answer.value
    assert same > 50


def test_perturbed_texts_keep_the_places_of_their_entities() -> None:
    rows = weather_reports(30)
    reference = [row["spans"] for row in rows]
    changed = module("evidence").perturbed(_as_dataset(rows), seed=0)
    for name, texts in changed.items():
        for text, row, entities in zip(texts, rows, reference, strict=True):
            assert len(text) == len(row["text"])
            if "typos" in name:
                assert all(text[e["start"] : e["end"]] == row["text"][e["start"] : e["end"]] for e in entities)
    typos = next(texts for name, texts in changed.items() if "typos" in name)
    assert sum(text != row["text"] for text, row in zip(typos, rows, strict=True)) > 20


def _as_dataset(rows: list[dict[str, Any]]) -> Any:
    return {"text": [row["text"] for row in rows], "reference": [row["spans"] for row in rows]}


def test_masked_entities_depend_on_seed_epoch_and_row_alone(tiny_model: Path) -> None:
    options = ["--train_file", "none", "--mask_entities", "0.9"]
    task: Any = TASK(parse(TASK.config_class, options))
    task.settings = {"types": ["food", "weather"], "seen": [], "whole_words": False}
    task.load_processor(tiny_model)
    task.tokenizer = SimpleNamespace(pad_token_id=0, mask_token_id=1)
    ids, tags = [2, 9, 9, 9, 3], [0, 3, 4]
    features = {"id": ["train:1"], "input_ids": [ids], "first_tokens": [[1, 2, 3]], "words": [[[0, 1, 0]] * 3]}
    features |= {"tags": [tags], "length": [5]}
    task.around = [2], [3]
    one, again, other = (task.collate(features, epoch)["input_ids"].tolist() for epoch in (0, 0, None))
    assert one == again and other == [ids]
    assert {tuple(row) for row in one} <= {(2, 9, 1, 1, 3), (2, 9, 9, 9, 3)}


def uncased_tokenizer(signs: str) -> Any:
    """A fast tokenizer that makes letters small and knows each letter and some signs."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["[PAD]", "[UNK]", *letters, *("##" + letter for letter in letters), *signs]
    model = models.WordPiece({word: index for index, word in enumerate(words)}, unk_token="[UNK]")
    backend = Tokenizer(model)
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]", pad_token="[PAD]", model_max_length=64)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("a cat", "a cat"),
        ("a Cat", "a §cat"),
        ("GPU", "¶gpu"),
        ("DataLoader in PyTorch", "§data§loader in §py§torch"),
        ("I", "§i"),
        ("", ""),
    ],
)
def test_capitals_are_seen_and_offsets_stay_those_of_the_text(tmp_path: Path, text: str, read: str) -> None:
    from transformers import AutoTokenizer

    marked = module("capitals").with_capitals(uncased_tokenizer("§¶"))
    encoding = marked(text, return_offsets_mapping=True)
    tokens = marked.convert_ids_to_tokens(encoding["input_ids"])
    assert "".join(tokens).replace("##", "") == read.replace(" ", "")
    for token, (start, end) in zip(tokens, encoding["offset_mapping"], strict=True):
        assert token in "§¶" or text[start:end].lower() == token.removeprefix("##")
    marked.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again(text)["input_ids"] == encoding["input_ids"]
    assert module("capitals").with_capitals(again) is again, "the signs are added once"


def test_a_vocabulary_without_the_signs_is_left_as_it_is() -> None:
    tokenizer = uncased_tokenizer("")
    assert module("capitals").with_capitals(tokenizer) is tokenizer


def test_an_entity_without_a_word_is_counted_like_one_that_cuts_a_word() -> None:
    words = [(0, 3), (6, 9)]
    for entity, tags in (
        ({"start": 4, "end": 5, "label": "weather"}, [0, 0]),
        ({"start": 6, "end": 8, "label": "weather"}, [0, 3]),
    ):
        assert module("entities").tags_at(words, [entity], ["food", "weather"]) == (tags, 1)
    assert module("entities").tags_at(words, [{"start": 4, "end": 9, "label": None}], ["food"]) == ([0, -100], 0)


def test_an_entity_that_takes_no_whole_word_stops_the_run_with_its_row(tiny_model: Path, tmp_path: Path) -> None:
    from common.fine_tune import fine_tune
    from common.system.errors import UserError

    rows = weather_reports(60)
    rows[0] = {"text": "the raining day", "spans": [{"start": 4, "end": 8, "label": "weather"}]}
    parts = {"train": rows, "validation": weather_reports(20, seed=1), "test": weather_reports(20, seed=2)}
    options = ["--model", str(tiny_model), "--output_dir", str(tmp_path / "runs")]
    for split, part in parts.items():
        file = tmp_path / f"{split}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in part), encoding="utf-8")
        options += [f"--{split}_file", str(file)]
    with pytest.raises(UserError, match=r"row 1: entities that begin or end within a word, or have no word"):
        fine_tune(PROJECT, options)
    assert not (tmp_path / "runs" / PROJECT / "train").exists()


def test_what_looks_like_a_sign_of_the_model_is_text(task: Any) -> None:
    features = in_memory(task.encode, {"text": ["the [SEP] rain [MASK] </s>"]})
    special = set(task.tokenizer.all_special_ids) - {task.tokenizer.unk_token_id}
    before, after = task.around
    (ids,) = features["input_ids"]
    assert not special & set(ids[len(before) : len(ids) - len(after)])


def test_too_few_validation_rows_settle_nothing(task: Any) -> None:
    rows = Dataset.from_dict(_as_dataset(weather_reports(49)))
    nothing = {"temperature": 1.0, "threshold": None}
    assert task.settle(lambda _: pytest.fail("nothing is to be asked"), rows) == nothing
