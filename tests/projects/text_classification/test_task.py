"""The project end to end on a tiny model, its head, and what plain transformers makes of the result."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset

from common.data.features import in_memory
from common.evaluation import baselines
from common.evaluation.baselines import FrozenEncoder
from common.evaluation.records import read_records
from common.fine_tune import encode_split, evaluate_again, fine_tune
from common.inference import layer_inputs
from common.metrics.calibration import probabilities
from common.models.heads import probe
from common.models.pretrained import Pretrained
from common.models.regression import STRENGTHS
from common.predictor import Predictor
from common.run import Run
from common.system.errors import UserError
from common.system.files import read_json
from projects.text_classification.baselines import Words
from projects.text_classification.config import TextClassificationConfig
from projects.text_classification.mean_pooling import add_mean_pooling
from projects.text_classification.slices import perturbed
from projects.text_classification.task import TextClassification
from tests.conftest import sentences, write_csv


def test_the_run_holds_everything_that_the_design_lists(finished_run: Run) -> None:
    names = {path.name for path in finished_run.folder.iterdir()}
    evidence = {"predictions.jsonl", "results.json", "report.html", "baseline", "README.md", "picture.png"}
    expected = {"config.yaml", "manifest.json", "metrics.jsonl", "model", "neighbours"} | evidence
    assert names == expected
    results = read_json(finished_run.results)
    assert results["metrics"]["accuracy"]["value"] > 0.9
    assert set(results["baselines"]) == {"majority", "tfidf_logistic_regression", "frozen_encoder_logistic_regression"}
    assert set(results["out_of_domain"]) == {"radio"} and results["out_of_domain"]["radio"]["examples"] == 60
    assert {row["slice"] for row in results["slices"]} == {"length", "label", "label frequency", "source"}
    for slice_name in ("length", "label", "source"):
        assert sum(row["examples"] for row in results["slices"] if row["slice"] == slice_name) == results["examples"]
    # The sentences have small letters only: as such they would be no other ones.
    assert [row["perturbation"] for row in results["robustness"]] == ["typos in 10% of the words", "UPPER CASE"]
    assert results["inference"]["p50_ms"] > 0
    selective, kinds = results["selective"], [example["kind"] for example in results["examples_to_try"]]
    assert selective["threshold"] == read_json(finished_run.model / "kit.json")["settings"]["threshold"]
    assert selective["examples"] == round(selective["coverage"] * 60)
    assert kinds[:4] == ["right", "right", "right", "hardly sure"]
    manifest = read_json(finished_run.manifest)
    assert manifest["data"]["rows"] == {"train": 179, "validation": 61, "test": 60, "radio": 60}


def test_no_number_of_the_results_is_anything_but_the_predictions(finished_run: Run) -> None:
    """accuracy, interval ends and baselines again, from predictions.jsonl by hand."""
    records = [json.loads(line) for line in finished_run.predictions.read_text().splitlines()]
    test = [record for record in records if record["set"] == "test"]
    results = read_json(finished_run.results)
    assert results["examples"] == len(test) == 60
    assert results["metrics"]["accuracy"]["value"] == pytest.approx(
        np.mean([r["prediction"]["value"] == r["reference"] for r in test])
    )
    for name, value in results["baselines"].items():
        assert value["accuracy"]["value"] == pytest.approx(
            np.mean([r["baselines"][name]["value"] == r["reference"] for r in test])
        )
    best = max(value["accuracy"]["value"] for value in results["baselines"].values())
    assert results["comparison"]["difference"] == pytest.approx(results["metrics"]["accuracy"]["value"] - best)


def test_evaluating_again_gives_the_same_results_but_for_the_clock(finished_run: Run) -> None:
    before, predictions = read_json(finished_run.results), finished_run.predictions.read_text()
    evaluate_again(finished_run.folder)
    after = read_json(finished_run.results)
    assert finished_run.predictions.read_text() == predictions
    assert {k: v for k, v in after.items() if k != "inference"} == {k: v for k, v in before.items() if k != "inference"}


def copied(run: Run, folder: Path) -> Run:
    """The run and its files in another folder, where they can be changed."""
    shutil.copytree(run.folder.parents[2], folder, dirs_exist_ok=True)
    copy = Run(folder / run.folder.relative_to(run.folder.parents[2]))
    copy.config.write_text(copy.config.read_text().replace(str(run.folder.parents[2]), str(folder)))
    return copy


def test_other_training_rows_are_not_evaluated_on(finished_run: Run, tmp_path: Path) -> None:
    """The test split would be cut anew, out of rows that the model learned from."""
    run = copied(finished_run, tmp_path)
    with (tmp_path / "train.csv").open("a") as file:
        file.write("one more piano,music,web\n")
    before = {file: file.read_bytes() for file in (run.manifest, run.results, run.predictions)}
    with pytest.raises(
        UserError,
        match=r"the train rows are not those that .* was made with: give it the data of its run, or train anew\.",
    ):
        evaluate_again(run.folder)
    assert {file: file.read_bytes() for file in before} == before


def test_another_file_to_measure_on_is_named(
    finished_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copied(finished_run, tmp_path)
    before = read_json(run.results)
    with (tmp_path / "other.csv").open("a") as file:
        file.write("one more piano,music,radio\n")
    evaluate_again(run.folder)
    assert "and it is measured on the new ones: radio" in capsys.readouterr().out
    after = read_json(run.results)
    assert after["out_of_domain"]["radio"]["examples"] == 61 and after["metrics"] == before["metrics"]
    assert after["data"]["fingerprint"]["radio"] != before["data"]["fingerprint"]["radio"]


def test_features_are_made_anew_when_their_code_or_tokenizer_is_another(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Pretrained(shutil.copytree(tiny_model, tmp_path / "model"), "model", "model")
    write_csv(tmp_path / "train.csv", sentences(60))
    task = TextClassification(TextClassificationConfig(train_file=str(tmp_path / "train.csv")))
    data = task.data()
    task.load_processor(source.folder)

    def ids() -> list[list[int]]:
        return encode_split(task, data, "train", source)["input_ids"][:]

    first = ids()
    assert ids() == first
    backwards = TextClassification.encode
    monkeypatch.setattr(
        TextClassification,
        "encode",
        lambda self, rows: {**(found := backwards(self, rows)), "input_ids": [i[::-1] for i in found["input_ids"]]},
    )
    assert ids() == first, "a change in memory is no change of the file"
    (source.folder / "tokenizer_config.json").write_text((source.folder / "tokenizer_config.json").read_text() + " ")
    assert ids() == [one[::-1] for one in first]


def test_plain_transformers_loads_the_model_and_agrees_with_the_predictor(finished_run: Run) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

    texts = [row["text"] for row in sentences(40, seed=5)]
    predictor = Predictor.load(finished_run.folder, precision="fp32")
    answers = predictor.predict(texts)
    model = AutoModelForSequenceClassification.from_pretrained(finished_run.model).eval()
    tokenizer = AutoTokenizer.from_pretrained(finished_run.model)
    with torch.no_grad():
        logits = model(**tokenizer(texts, padding=True, return_tensors="pt")).logits.double().numpy()
    expected = probabilities(logits, predictor.task.settings["temperature"])
    assert [answer.value for answer in answers] == [model.config.id2label[int(row.argmax())] for row in expected]
    for answer, row in zip(answers, expected, strict=True):
        assert list(predictor.task.probabilities(answer).values()) == pytest.approx(row.tolist(), abs=1e-5)
    long = " ".join(texts * 20)  # more tokens than the model has positions for
    plain = pipeline("text-classification", model=str(finished_run.model), truncation=True)([*texts, long])
    assert [answer["label"] for answer in plain] == [answer.value for answer in [*answers, *predictor.predict([long])]]


def test_the_predictor_answers_in_order_whatever_the_batch(finished_run: Run) -> None:
    texts = [row["text"] for row in sentences(150, seed=6)]
    predictor = Predictor.load(finished_run.folder, precision="fp32")
    together = predictor.predict(texts)
    for place in (0, 77, 149):
        alone = predictor.predict([texts[place]])[0]
        assert alone.value == together[place].value
        assert alone.confidence == pytest.approx(together[place].confidence, abs=1e-5)
    assert predictor.predict([]) == []


def test_the_finished_run_is_not_trained_again_and_other_options_are_refused(
    finished_run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    from common.system.errors import UserError

    weights = (finished_run.model / "model.safetensors").stat().st_mtime_ns
    project = finished_run.folder.parent.name
    options = ["--config", str(finished_run.config), "--run_name", "tiny"]
    fine_tune(project, options)
    assert "is finished: these are its results" in capsys.readouterr().out
    assert (finished_run.model / "model.safetensors").stat().st_mtime_ns == weights
    with pytest.raises(
        UserError, match=r"holds a run with another configuration \(epochs\): choose another --run_name"
    ):
        fine_tune(project, [*options, "--epochs", "7"])
    with pytest.raises(UserError, match="already holds a run"):
        fine_tune(project, [*options, "--resume", "never"])


def test_the_averaging_layer_hands_the_mean_of_the_tokens_to_the_head(tiny_model: Path) -> None:
    """The head's input is tanh(0.3 LayerNorm(mean of the last layer's tokens)), padding left out."""
    from transformers import AutoModel, AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(
        tiny_model, num_labels=3, ignore_mismatched_sizes=True
    ).eval()
    encoder = AutoModel.from_pretrained(tiny_model).eval()
    add_mean_pooling(model)
    task = TextClassification(TextClassificationConfig(train_file="none"))
    task.load_processor(tiny_model)
    features = in_memory(task.encode, task.rows([row["text"] for row in sentences(20)]))
    inputs = []
    model.classifier.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0]))
    batch = task.collate(features[:])
    with torch.no_grad():
        task.logits(model, batch)
        tokens = encoder(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1)
    mean = (tokens * mask).sum(dim=1) / mask.sum(dim=1)
    expected = torch.tanh(0.3 * torch.nn.functional.layer_norm(mean, mean.shape[-1:]))
    assert torch.allclose(inputs[0], expected, atol=0.02)


@pytest.mark.parametrize(("max_length", "padded"), [(4, False), (256, True)])
def test_the_plain_class_gives_after_training_what_was_trained(
    tiny_model: Path, tmp_path: Path, max_length: int, padded: bool
) -> None:
    """The averaging layer is computed in a shorter way while training; what is saved is an ordinary layer."""
    task = TextClassification(TextClassificationConfig(train_file="none", max_length=max_length))
    task.settings["labels"] = ["food", "music", "weather"]
    task.load_processor(tiny_model)
    rows = sentences(24)
    given = {"text": [row["text"] for row in rows], "reference": [row["label"] for row in rows]}
    features = Dataset.from_dict({"id": [str(n) for n in range(24)], **task.encode(given)})
    model = task.prepare(tiny_model, features)
    batch = task.collate(features[:])
    assert padded == bool((batch["attention_mask"] == 0).any())
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3, weight_decay=0.1)
    before = task.logits(model.eval(), batch).detach()
    model.train()
    for _ in range(10):
        task.loss(model, batch).backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        trained = task.logits(model.eval(), batch)
        task.save(model, tmp_path)
        saved = task.load(tmp_path).eval()
        plain = task.logits(saved, batch)
    assert type(saved.bert.encoder.layer[-1]).__name__ == "BertLayer"
    assert not torch.allclose(trained, before, atol=0.01), "nothing was learned"
    assert torch.allclose(trained, plain, atol=1e-4)


def test_the_started_head_answers_like_the_regression(tiny_model: Path) -> None:
    rows = sentences(200)
    task = TextClassification(TextClassificationConfig(train_file="none"))
    task.settings["labels"] = ["food", "music", "weather"]
    task.load_processor(tiny_model)
    given = {"text": [row["text"] for row in rows], "reference": [row["label"] for row in rows]}
    features = Dataset.from_dict({"id": [str(n) for n in range(200)], **task.encode(given)})
    labels = np.asarray([task.labels.index(row["label"]) for row in rows])
    assert features["labels"][:] == labels.tolist()
    model = task.prepare(tiny_model, features)
    inputs = layer_inputs(task, model, model.classifier, features, "")
    assert inputs is not None
    weight, bias = probe(inputs, labels, 3)
    assert np.allclose(model.classifier.weight.detach().numpy(), weight, atol=1e-5)
    accuracy = ((inputs @ weight.T + bias).argmax(axis=1) == labels).mean()
    assert accuracy > 0.6, "the untrained model must already know something"


@pytest.mark.parametrize("classes", [2, 4])
def test_the_probe_leaves_labels_without_rows_at_the_bottom(classes: int) -> None:
    random = np.random.default_rng(0)
    labels = random.integers(2, size=300)
    inputs = (random.normal(size=(300, 8)) + 2 * labels[:, None]).astype(np.float32)
    weight, bias = probe(inputs, labels, classes)
    assert weight.shape == (classes, 8) and bias.shape == (classes,)
    assert ((inputs @ weight.T + bias).argmax(axis=1) == labels).mean() > 0.95


def test_typos_are_in_every_text_and_always_the_same() -> None:
    texts = [row["text"] for row in sentences(30)] + ["a", ""]
    once, again = perturbed(texts, 0), perturbed(texts, 0)
    assert once == again
    typos = once["typos in 10% of the words"]
    assert sum(sorted(a) == sorted(b) for a, b in zip(texts, typos, strict=True)) == 32
    assert sum(a != b for a, b in zip(texts, typos, strict=True)) >= 28


HEADS = {
    "distilbert": {"pre_classifier.weight", "pre_classifier.bias", "classifier.weight", "classifier.bias"},
    "gpt2": {"score.weight"},
    "xlnet": {
        "sequence_summary.summary.weight",
        "sequence_summary.summary.bias",
        "logits_proj.weight",
        "logits_proj.bias",
    },
}


def test_other_architectures_start_their_head_without_the_extra_layer(tmp_path: Path, tiny_model: Path) -> None:
    from transformers import (
        AutoTokenizer,
        DistilBertConfig,
        DistilBertForSequenceClassification,
        GPT2Config,
        GPT2ForSequenceClassification,
        XLNetConfig,
        XLNetForSequenceClassification,
    )

    sizes = {"vocab_size": 29, "n_layers": 1, "n_heads": 2, "dim": 16, "hidden_dim": 32}
    for name, model in {
        "distilbert": DistilBertForSequenceClassification(DistilBertConfig(**sizes)),
        "gpt2": GPT2ForSequenceClassification(GPT2Config(vocab_size=29, n_layer=1, n_head=2, n_embd=16)),
        "xlnet": XLNetForSequenceClassification(
            XLNetConfig(vocab_size=29, n_layer=1, n_head=2, d_model=16, d_inner=32)
        ),
    }.items():
        folder = tmp_path / name
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(tiny_model, padding_side="left" if name == "xlnet" else "right").save_pretrained(
            folder
        )
        rows = sentences(90)
        task = TextClassification(TextClassificationConfig(train_file="none"))
        task.settings["labels"] = ["food", "music", "weather"]
        task.load_processor(folder)
        given = {"text": [row["text"] for row in rows], "reference": [row["label"] for row in rows]}
        features = Dataset.from_dict({"id": list(map(str, range(90))), **task.encode(given)})
        started = task.prepare(folder, features)
        batch = task.collate(features[:8])
        assert task.logits(started, batch).shape == (8, 3)
        head = {parameter for parameter, _ in started.named_parameters() if parameter.startswith(task.head(started))}
        assert head == HEADS[name]
        started.eval()
        short, long = int(np.argmin(features["length"])), int(np.argmax(features["length"]))
        together, alone = (task.logits(started, task.collate(features[places])) for places in ([short, long], [short]))
        assert torch.allclose(together[0], alone[0], atol=2e-3), "what fills up a batch must not change an answer"


def features_of(task: TextClassification, texts: list[str]) -> Dataset:
    return Dataset.from_dict({"id": [f"train:{n + 1}" for n in range(len(texts))], **task.encode({"text": texts})})


def test_texts_that_had_to_be_cut_are_counted(tiny_model: Path) -> None:
    task = TextClassification(TextClassificationConfig(train_file="none", max_length=8))
    task.load_processor(tiny_model)
    (finding,) = task.check_features(features_of(task, ["rain " * 3, "rain " * 20, "rain " * 5]))
    assert str(finding).startswith("the training rows, row 2: texts of 8 tokens or more, cut there")
    assert finding.remedy == "give a larger --max_length if the end matters"


def test_no_text_is_longer_than_the_model_can_read_whatever_its_tokenizer_says(
    tiny_model: Path, tmp_path: Path
) -> None:
    """The tokenizer knows no limit, the model has 64 positions, and all of the options allow more."""
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "model_max_length": 10**30}))
    task = TextClassification(TextClassificationConfig(train_file="none", max_length=1024, model=str(folder)))
    task.load_processor(folder)
    (finding,) = task.check_features(features := features_of(task, ["rain " * 500, "sun"]))
    assert max(features["length"]) == 64
    assert str(finding).startswith("the training rows, row 1: texts of 64 tokens or more, cut there")
    assert "choose another --model" in finding.remedy and "--max_length" not in finding.remedy
    write_csv(tmp_path / "rows.csv", [{**row, "text": row["text"] + " rain" * 200} for row in sentences(60)])
    options = ["--train_file", str(tmp_path / "rows.csv"), "--model", str(folder), "--max_length", "1024"]
    options += ["--output_dir", str(tmp_path / "runs"), "--run_name", "tiny", "--max_steps", "1", "--precision", "fp32"]
    fine_tune("text_classification", options)
    assert read_json(tmp_path / "runs/text_classification/tiny/results.json")["failed"] == []


def test_texts_that_the_model_cannot_read_are_counted_before_the_training(tiny_model: Path) -> None:
    task = TextClassification(TextClassificationConfig(train_file="none"))
    task.load_processor(tiny_model)
    texts = ["rain sun", "ሰላም ለዓለም", "rain sun wind ዝናብ", "the rain is very very very ዝናብ", "😀"]
    (finding,) = task.check_features(features_of(task, texts))
    assert finding.rows == [2, 3, 5] and finding.severity == "warning"
    assert "(31% of all tokens are unknown to it)" in finding.problem and "choose a --model" in finding.remedy
    assert task.check_features(features_of(task, ["rain sun", "the wind"])) == []


def test_a_text_of_which_no_token_is_left_is_counted(tiny_model: Path) -> None:
    task = TextClassification(TextClassificationConfig(train_file="none"))
    task.load_processor(tiny_model)
    features = Dataset.from_dict({"id": ["train:1", "train:2"], "length": [2, 5], "unknown": [0, 0]})
    (finding,) = task.check_features(features)
    assert finding.rows == [1]


@pytest.mark.parametrize("name", ["majority", "tfidf_logistic_regression", "frozen_encoder_logistic_regression"])
def test_a_baseline_answers_the_same_after_it_was_saved(
    finished_run: Run, tiny_model: Path, tmp_path: Path, name: str
) -> None:
    predictor = Predictor.load(finished_run.folder)
    baseline = predictor.task.baselines(predictor.task.data(), tiny_model)[name]
    baseline.save(tmp_path)
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} <= {".json", ".safetensors"}
    texts = [row["text"] for row in sentences(100, seed=7)]
    answers = baseline.predict(texts)
    assert predictor.task.load_baseline(tmp_path).predict(texts) == answers
    assert len({answer.value for answer in answers}) == (1 if name == "majority" else 3)


def test_sentence_vectors_are_the_same_where_the_memory_is_small(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = TextClassification(TextClassificationConfig(train_file="a.csv"))
    task.load_processor(tiny_model)
    vectors, texts = (
        FrozenEncoder(task, task.load_encoder(tiny_model), task.encoder_vectors),
        [row["text"] for row in sentences(100)],
    )
    expected, means = vectors(texts), vectors._vectors

    def cramped(batch: dict) -> torch.Tensor:
        if len(batch["input_ids"]) > 5:
            raise torch.OutOfMemoryError("no memory")
        return means(batch)

    monkeypatch.setattr(vectors, "_vectors", cramped)
    assert np.allclose(vectors(texts), expected, atol=1e-2 if vectors.precision == "bf16" else 1e-6)


def test_the_regression_is_scikit_learns_with_the_penalty_of_the_likeliest_validation_rows() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    rows = [row for row in sentences(240) if row["label"] != "weather"]
    texts, labels = [row["text"] for row in rows], [row["label"] for row in rows]
    train, validation = (texts[:100], labels[:100]), (texts[100:130], labels[100:130])
    mine = baselines.Regression.fit(Words.of(train[0], 2), train, validation)
    theirs = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    inputs, held_out = theirs.fit_transform(train[0]), theirs.transform(validation[0])
    fitted = [LogisticRegression(C=strength, max_iter=1_000).fit(inputs, train[1]) for strength in STRENGTHS]
    best = min(fitted, key=lambda regression: log_loss(validation[1], regression.predict_proba(held_out)))
    assert np.allclose(mine.weight[1] - mine.weight[0], best.coef_[0], atol=1e-6)
    answers = [answer.value for answer in mine.predict(texts[130:])]
    assert answers == best.predict(theirs.transform(texts[130:])).tolist()


def test_a_text_may_hold_what_others_take_for_the_end_of_a_line(tiny_model: Path, tmp_path: Path) -> None:
    """And every test row may stand in the training rows: the report says so."""
    import csv

    rows = sentences(60)
    for name, part in (("train", rows), ("test", rows[:20]), ("validation", sentences(20, seed=5))):
        with (tmp_path / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(
                [("text", "label"), *((row["text"].replace(" ", "\u2028", 1) + "\x85", row["label"]) for row in part)]
            )
    options = [
        "--train_file",
        str(tmp_path / "train.csv"),
        "--test_file",
        str(tmp_path / "test.csv"),
        "--validation_file",
        str(tmp_path / "validation.csv"),
        "--model",
        str(tiny_model),
    ]
    fine_tune(
        "text_classification",
        [*options, "--output_dir", str(tmp_path / "runs"), "--max_steps", "1", "--precision", "fp32"],
    )
    run = Run(tmp_path / "runs/text_classification/train")
    assert read_json(run.results)["clean"] == {"leaked_examples": 20, "examples": 0}
    report = run.report.read_text()
    assert "Of the test rows, 20 (" in report and "also occurred, nearly or exactly, among the training rows." in report
    assert len(read_records(run)) == 20
