"""The project end to end on drawn pictures and a tiny network; nothing but seed and data decides what it learns."""

import base64
import json
import os
import shutil
import signal
import tracemalloc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from datasets import Dataset
from PIL import Image

from common.data.features import Encoded, encoded
from common.evaluation.records import read_records
from common.fine_tune import evaluate_again, fine_tune
from common.metrics.calibration import probabilities
from common.predictor import Predictor
from common.run import Run, input_name
from common.system.errors import Interrupted, UserError, exit_with_sentence
from common.system.files import read_json
from common.system.hardware import Precision
from common.training import checkpoint, preflight
from common.training.loop import Trainer
from common.verify import verify
from projects.image_classification.config import ImageClassificationConfig
from projects.image_classification.pictures import ALTERATIONS, opened
from projects.image_classification.task import ImageClassification
from tests.conftest import SHAPES, draw_pictures

SPLITS = ("train", "validation")


def shapes_of(run: Run) -> Path:
    return run.folder.parents[2] / "shapes"


def measured_files(run: Run) -> list[Path]:
    return [shapes_of(run) / record["id"].removeprefix("train:") for record in read_records(run)]


def test_the_run_holds_everything_that_the_design_lists(finished_image_run: Run) -> None:
    run = finished_image_run
    names = {path.name for path in run.folder.iterdir()}
    evidence = {"predictions.jsonl", "results.json", "report.html", "picture.png", "baseline", "inputs", "README.md"}
    assert names == {"config.yaml", "manifest.json", "metrics.jsonl", "model", "neighbours"} | evidence
    results = read_json(run.results)
    assert results["metrics"]["accuracy"]["value"] > 0.7
    assert set(results["baselines"]) == {"majority", "pixels_logistic_regression", "frozen_encoder_logistic_regression"}
    assert [row["perturbation"] for row in results["robustness"]] == list(ALTERATIONS)
    assert {row["slice"] for row in results["slices"]} == {"brightness", "shorter side", "label"}
    for name in ("brightness", "shorter side", "label"):
        assert sum(row["examples"] for row in results["slices"] if row["slice"] == name) == results["examples"] == 36
    assert read_json(run.manifest)["data"]["rows"] == {"train": 93, "validation": 51, "test": 36}
    assert {record["id"].split("/")[0] for record in read_records(run)} == {f"train:{shape}" for shape in SHAPES}


def test_no_number_of_the_results_is_anything_but_the_predictions(finished_image_run: Run) -> None:
    records, results = read_records(finished_image_run), read_json(finished_image_run.results)
    assert results["metrics"]["accuracy"]["value"] == pytest.approx(
        np.mean([r["prediction"]["value"] == r["reference"] for r in records])
    )
    for name, value in results["baselines"].items():
        assert value["accuracy"]["value"] == pytest.approx(
            np.mean([r["baselines"][name]["value"] == r["reference"] for r in records])
        )
    assert all(record["reference"] == Path(record["input"]).parent.name for record in records)


def test_the_pictures_that_are_named_are_kept_and_shown(finished_image_run: Run) -> None:
    run, results = finished_image_run, read_json(finished_image_run.results)
    named = {row["id"] for key in ("worst_errors", "examples_to_try") for row in results[key]}
    assert results["worst_errors"] and len(named) >= 4
    assert {file.name for file in run.inputs.iterdir()} == {f"{input_name(row_id)}.png" for row_id in named}
    for row_id in named:
        kept, original = run.input(row_id), shapes_of(run) / row_id.removeprefix("train:")
        assert np.array_equal(np.asarray(Image.open(kept)), np.asarray(opened(original)))
    report, card = run.report.read_text(), run.card.read_text()
    for row in results["worst_errors"]:
        assert f"data:image/png;base64,{base64.b64encode(run.input(row['id']).read_bytes()).decode()}" in report
    for row in results["worst_errors"][:5]:
        assert f"](inputs/{input_name(row['id'])}.png)" in card
    assert 'src="http' not in report and f'src="{run.folder}' not in report
    assert read_json(run.manifest)["files"].keys() >= {f"inputs/{file.name}" for file in run.inputs.iterdir()}


def test_plain_transformers_loads_the_model_and_agrees_with_the_predictor(finished_image_run: Run) -> None:
    from transformers import pipeline

    files = measured_files(finished_image_run)
    predictor = Predictor.load(finished_image_run.folder, precision="fp32")
    answers = predictor.predict(files)
    expected = probabilities(np.asarray([answer.details["logits"] for answer in answers]), 1.0)
    plain = pipeline("image-classification", model=str(finished_image_run.model))(
        [str(file) for file in files], top_k=3
    )
    assert [found[0]["label"] for found in plain] == [answer.value for answer in answers]
    assert len({answer.value for answer in answers}) == 3
    for found, row in zip(plain, expected, strict=True):
        assert {one["label"]: one["score"] for one in found} == pytest.approx(
            dict(zip(predictor.task.labels, row, strict=True)), abs=1e-4
        )
    recorded = [record["prediction"]["value"] for record in read_records(finished_image_run)]
    assert [answer.value for answer in answers] == recorded


def test_the_predictor_takes_paths_and_pictures_and_says_which_file_is_missing(finished_image_run: Run) -> None:
    predictor, file = Predictor.load(finished_image_run.folder, precision="fp32"), measured_files(finished_image_run)[0]
    (path,), (text,), (picture,) = (predictor.predict([one]) for one in (file, str(file), Image.open(file)))
    assert path == text == picture
    (transparent,) = predictor.predict([Image.open(file).convert("RGBA")])
    assert transparent == path
    with pytest.raises(UserError, match=r"there is no picture nowhere.png: check the path\."):
        predictor.predict([file, "nowhere.png", file])
    many = predictor.predict(measured_files(finished_image_run) * 3)
    assert many[0].confidence == pytest.approx(path.confidence, abs=1e-5) and len(many) == 108


@pytest.mark.slow
def test_evaluating_again_gives_the_same_results_but_for_the_clock(finished_image_run: Run) -> None:
    run = finished_image_run
    before, predictions, inputs = (
        read_json(run.results),
        run.predictions.read_text(),
        {file.name: file.read_bytes() for file in run.inputs.iterdir()},
    )
    evaluate_again(run.folder)
    after = read_json(run.results)
    assert run.predictions.read_text() == predictions
    assert {k: v for k, v in after.items() if k != "inference"} == {k: v for k, v in before.items() if k != "inference"}
    assert {file.name: file.read_bytes() for file in run.inputs.iterdir()} == inputs


@pytest.mark.slow
def test_an_honest_run_is_verified_and_one_pixel_is_noticed(
    finished_image_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.verify.PROJECTS", tmp_path)  # the README of the project is tested by itself
    shutil.copytree(finished_image_run.folder, tmp_path / "tiny")
    shutil.copytree(shapes_of(finished_image_run), tmp_path / "shapes")
    config = (tmp_path / "tiny/config.yaml").read_text()
    assert str(shapes_of(finished_image_run)) in config
    (tmp_path / "tiny/config.yaml").write_text(
        config.replace(str(shapes_of(finished_image_run)), str(tmp_path / "shapes"))
    )

    def failed() -> dict[str, int]:
        return {
            check.name.split(" ")[0]: len(check.differences) for check in verify(tmp_path / "tiny") if check.differences
        }

    assert failed() == {}
    record = next(record for record in read_records(finished_image_run) if record["input"].endswith(".png"))
    file = tmp_path / "shapes" / record["input"]
    picture = Image.open(file)
    picture.putpixel((5, 5), (255, 0, 255))
    picture.save(file)
    assert "hashes" in failed()
    shutil.copy(shapes_of(finished_image_run) / record["input"], file)
    worst = read_json(finished_image_run.results)["worst_errors"][0]["id"]
    kept = Run(tmp_path / "tiny").input(worst)
    Image.open(kept).convert("L").save(kept)
    assert failed() == {"files": 1, "pages": 1}, "the report shows it"


@pytest.mark.parametrize("name", ["majority", "pixels_logistic_regression", "frozen_encoder_logistic_regression"])
def test_a_baseline_answers_the_same_after_it_was_saved(
    finished_image_run: Run, tiny_image_model: Path, tmp_path: Path, name: str
) -> None:
    predictor = Predictor.load(finished_image_run.folder)
    baseline = predictor.task.baselines(predictor.task.data(), tiny_image_model)[name]
    baseline.save(tmp_path)
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} <= {".json", ".safetensors"}
    files = measured_files(finished_image_run)
    answers = baseline.predict(files)
    assert predictor.task.load_baseline(tmp_path).predict(files) == answers
    recorded = [record["baselines"][name]["value"] for record in read_records(finished_image_run)]
    assert [answer.value for answer in answers] == recorded
    assert len(set(recorded)) == (1 if name == "majority" else 3)


def test_batch_norm_ends_as_it_was_pretrained(finished_image_run: Run, tiny_image_model: Path) -> None:
    from safetensors.torch import load_file

    before, after = (load_file(folder / "model.safetensors") for folder in (tiny_image_model, finished_image_run.model))
    statistics = [name for name in before if "running_" in name or "num_batches" in name]
    assert len(statistics) >= 15 and all(torch.equal(before[name], after[name]) for name in statistics)
    scales = [name for name in before if "normalization.weight" in name]
    assert scales and not any(torch.equal(before[name], after[name]) for name in scales), "its weights are trained"


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("few")
    draw_pictures(folder, 45, seed=3)
    return folder


def ready(shapes: Path, source: Path, folder: Path, micro: int = 8, **options: object) -> Trainer:
    """A trainer after the preflight, as `fine_tune` makes it."""
    folder.mkdir(exist_ok=True)
    values = {
        "epochs": 2,
        "global_batch_size": 8,
        "learning_rate": 1e-2,
        "head_learning_rate": 1e-2,
        "mirror": True,
        **options,
    }
    config = ImageClassificationConfig(image_folder=str(shapes), model=str(source), early_stopping_patience=0, **values)
    task, accelerator = ImageClassification(config), Accelerator(cpu=True)
    data = task.data()
    task.load_processor(source)
    train, validation = (Encoded(rows, encoded(task.encode, rows)) for rows in map(data.splits.get, SPLITS))
    torch.manual_seed(config.seed)
    model = task.prepare(source, train.features)
    preflight.find_micro_batch(task, model, train.features, config, accelerator, Precision("fp32", ""))
    return Trainer(task, model, train.features, validation, config, accelerator, folder, micro)


def end(trainer: Trainer) -> dict[str, torch.Tensor]:
    """The weights of the last step, whichever was best."""
    trainer.run()
    saved = checkpoint.load_file(trainer._path(trainer.total_steps) / "model.safetensors")
    assert trainer.progress.step == trainer.total_steps == 10
    return saved


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_threads_that_make_the_batches_change_nothing(shapes: Path, tiny_image_model: Path, tmp_path: Path) -> None:
    none, three = (end(ready(shapes, tiny_image_model, tmp_path / str(n), data_workers=n)) for n in (0, 3))
    assert same(none, three)
    plain = end(ready(shapes, tiny_image_model, tmp_path / "plain", augment=False))
    assert not same(none, plain), "but augmentation does"


@pytest.mark.slow
@pytest.mark.parametrize("freeze_epochs", [0, 1])
def test_a_run_that_was_stopped_ends_with_the_same_bits(
    shapes: Path, tiny_image_model: Path, tmp_path: Path, freeze_epochs: int
) -> None:
    """With other threads than before, and stopped in the second pass over the pictures."""
    unbroken = end(ready(shapes, tiny_image_model, tmp_path / "unbroken", freeze_epochs=freeze_epochs))
    stopped = ready(shapes, tiny_image_model, tmp_path / "stopped", data_workers=3, freeze_epochs=freeze_epochs)
    logits, calls = stopped.task.logits, []

    def counted(model: torch.nn.Module, batch: dict) -> torch.Tensor:
        if torch.is_grad_enabled():
            calls.append(1)
            if len(calls) == 7:
                os.kill(os.getpid(), signal.SIGTERM)
        return logits(model, batch)

    stopped.task.logits = counted
    with pytest.raises(Interrupted, match="after step 7 of 10"):
        stopped.run()
    assert same(
        unbroken,
        end(ready(shapes, tiny_image_model, tmp_path / "stopped", data_workers=2, freeze_epochs=freeze_epochs)),
    )


@pytest.mark.slow
def test_micro_batches_change_no_loss(shapes: Path, tiny_image_model: Path, tmp_path: Path) -> None:
    logged = []
    for micro in (8, 3):
        ready(shapes, tiny_image_model, tmp_path / str(micro), micro, log_every=1, layer_decay=0.7).run()
        lines = map(json.loads, (tmp_path / str(micro) / "metrics.jsonl").read_text().splitlines())
        logged.append([line["loss"] for line in lines if "loss" in line])
    assert len(logged[0]) == 10 and logged[0] == pytest.approx(logged[1], rel=1e-4)


def test_random_weights_let_batch_norm_find_its_statistics(
    shapes: Path, tiny_image_model: Path, tmp_path: Path
) -> None:
    found = end(ready(shapes, tiny_image_model, tmp_path / "run", pretrained=False))
    pretrained = checkpoint.load_file(tiny_image_model / "model.safetensors")
    means = [name for name in found if name.endswith("running_mean")]
    assert means and all(found[name].abs().max() > 0 for name in means)
    assert not any(torch.equal(found[name], pretrained[name]) for name in means)


def test_what_the_preflight_tries_leaves_the_model_as_it_was(
    shapes: Path, tiny_image_model: Path, tmp_path: Path
) -> None:
    trainer = ready(shapes, tiny_image_model, tmp_path / "run")
    pretrained = checkpoint.load_file(tiny_image_model / "model.safetensors")
    now = checkpoint.weights(trainer.model, trainer.trainable)
    assert all(
        torch.equal(now[name], tensor) for name, tensor in pretrained.items() if not name.startswith("classifier")
    )


def test_what_is_random_in_a_picture_hangs_on_seed_epoch_and_id_alone(shapes: Path, tiny_image_model: Path) -> None:
    def pixels(places: list[int], epoch: int | None, seed: int = 0, **options: object) -> torch.Tensor:
        task = ImageClassification(ImageClassificationConfig(image_folder=str(shapes), seed=seed, **options))
        task.load_processor(tiny_image_model)
        files = sorted(shapes.glob("*/*"))
        task.root = shapes
        names = [files[place].relative_to(shapes).as_posix() for place in places]
        return task.collate({"id": [f"train:{name}" for name in names], "image": names}, epoch)["pixel_values"]

    batch = pixels([0, 1, 2], epoch=1)
    assert batch.shape == (3, 3, 32, 32) and batch.dtype == torch.float32
    assert torch.equal(batch[1], pixels([1], epoch=1)[0]) and torch.equal(batch[[2, 0]], pixels([2, 0], epoch=1))
    for other in (pixels([0, 1, 2], epoch=2), pixels([0, 1, 2], epoch=1, seed=1), pixels([0, 1, 2], epoch=None)):
        assert not any(torch.equal(one, two) for one, two in zip(batch, other, strict=True))
    assert torch.equal(pixels([0], epoch=1, augment=False), pixels([0], epoch=None))
    twice = pixels([0, 0], epoch=1)
    assert torch.equal(twice[0], twice[1])


@pytest.mark.parametrize("epoch", [None, 1], ids=["as they are", "altered"])
def test_a_batch_holds_one_whole_picture_at_a_time(
    tiny_image_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: int | None
) -> None:
    """A plain PNG of some kilobytes unpacks to 100 MB: a batch of them would fill the memory."""
    side, count = 1_000, 8
    files = [tmp_path / f"{number}.png" for number in range(count)]
    for number, file in enumerate(files):
        Image.new("RGB", (side, side + number), (30 * number, 90, 200)).save(file)
    task = ImageClassification(ImageClassificationConfig(image_folder=str(tmp_path)))
    task.load_processor(tiny_image_model)
    whole: list[weakref.ref[Image.Image]] = []
    alive = []

    def watched(*arguments: Any) -> Image.Image:
        alive.append(sum(picture() is not None for picture in whole))
        picture = opened(*arguments)
        whole.append(weakref.ref(picture))
        return picture

    monkeypatch.setattr("projects.image_classification.task.opened", watched)
    features = {"id": [file.name for file in files], **task.encode(task.rows(files))}
    task.collate(features, epoch)  # what is loaded once is not counted
    whole.clear()
    alive.clear()
    tracemalloc.start()  # sees the arrays of numpy, but not what Pillow holds
    try:
        pixels = task.collate(features, epoch)["pixel_values"]
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert alive == [0] * count
    assert most < 3 * side * side * 3, "bytes of three pictures"
    if epoch is None:
        together = task.processor(images=[opened(file, task.least) for file in files], return_tensors="pt")[
            "pixel_values"
        ]
        assert torch.equal(pixels, together) and pixels.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("cropped", [False, True], ids=["square", "shortest edge, then cropped"])
def test_the_size_that_the_model_sees_can_be_chosen_and_is_saved(
    shapes: Path, tiny_image_model: Path, tmp_path: Path, cropped: bool
) -> None:
    source = tmp_path / "source"
    shutil.copytree(tiny_image_model, source)
    if cropped:
        options = json.loads((source / "preprocessor_config.json").read_text())
        sizes = {"size": {"shortest_edge": 40}, "do_center_crop": True, "crop_size": {"height": 32, "width": 32}}
        (source / "preprocessor_config.json").write_text(
            json.dumps({**options, **sizes, "image_processor_type": "CLIPImageProcessor"})
        )
    files = sorted(shapes.glob("*/*"))[:2]
    for side, expected in ((None, 32), (48, 48)):
        options = {"image_folder": str(shapes), "image_size": side, "start_head": False}
        task = ImageClassification(ImageClassificationConfig(**options))
        task.data()
        task.load_processor(source)
        model = task.prepare(source, Dataset.from_dict({}))
        assert task.size == (expected, expected)
        features = task.encode(task.rows(files))
        whole = task.collate(features)["pixel_values"]
        altered = task.collate({"id": ["a", "b"], **features}, 0)["pixel_values"]
        assert whole.shape == altered.shape == (2, 3, expected, expected)
        assert abs(float(whole.mean() - altered.mean())) < 0.5, "both are normalised"
        task.save(model, tmp_path / "saved")
        again = ImageClassification(ImageClassificationConfig(image_folder=str(shapes)))
        again.load_processor(tmp_path / "saved")
        assert torch.equal(again.collate(again.encode(again.rows(files)))["pixel_values"], whole)


@pytest.mark.parametrize("pretrained", [True, False])
def test_a_size_that_the_model_cannot_see_is_refused_with_its_own(
    shapes: Path, tiny_image_model: Path, tmp_path: Path, pretrained: bool
) -> None:
    from transformers import ViTConfig, ViTForImageClassification

    size = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "image_size": 32,
        "patch_size": 8,
    }
    ViTForImageClassification(ViTConfig(**size)).save_pretrained(tmp_path)
    shutil.copy(tiny_image_model / "preprocessor_config.json", tmp_path)
    features = ready(shapes, tiny_image_model, tmp_path / "run").train

    def model(side: int | None) -> torch.nn.Module:
        options = {"image_folder": str(shapes), "model": "my-vit", "image_size": side, "pretrained": pretrained}
        task = ImageClassification(ImageClassificationConfig(**options, start_head=False))
        task.data()
        task.load_processor(tmp_path)
        return task.prepare(tmp_path, features)

    problem = r"^my-vit cannot see pictures of 48 x 48 pixels \(it was made for 32\): "
    with pytest.raises(UserError, match=problem + "leave out --image_size, or choose"):
        model(48)
    assert model(32).config.image_size == model(None).config.image_size == 32


def test_bad_pictures_end_in_one_sentence_and_status_2_with_nothing_written(
    shapes: Path, tiny_image_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(shapes, tmp_path / "shapes")
    (tmp_path / "shapes/circle/bad.png").write_bytes(b"no picture")
    options = [
        "--image_folder",
        str(tmp_path / "shapes"),
        "--model",
        str(tiny_image_model),
        "--output_dir",
        str(tmp_path / "runs"),
    ]
    with pytest.raises(SystemExit) as left:
        exit_with_sentence(lambda: fine_tune("image_classification", options))
    assert left.value.code == 2 and not (tmp_path / "runs").exists()
    said = capsys.readouterr().err.strip()
    assert (
        said == f"error: {tmp_path / 'shapes'}, circle/bad.png: is no picture of a known format: "
        "give JPEG, PNG, WEBP, BMP, GIF, TIFF."
    )
