"""The demo of pictures: its answers are those that were measured, and hostile visitors get a sentence."""

import asyncio
import base64
import csv
import dataclasses
import hashlib
import io
import json
import re
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image, TiffImagePlugin

from apps.image_classification import GRID, ImageDemo, covered, lit, meaning
from apps.parts import drawing
from apps.parts.corrections import Corrections
from apps.parts.demo import Question
from apps.parts.inputs import LIMITS
from common.config import load
from common.data.corrections import kept_file, notes_of, review
from common.metrics.calibration import probabilities
from common.predictor import Predictor
from common.run import Run
from common.system.files import read_json
from common.task.contract import Prediction
from projects.image_classification.pictures import opened
from projects.image_classification.rows import load_rows
from projects.image_classification.task import ImageClassificationConfig
from tests.apps.conftest import fresh_corrections, rounding
from tests.apps.pictures import bomb, long, png, short_strip
from tests.apps.test_text_classification import call
from tests.conftest import SHAPES

pytestmark = pytest.mark.slow  # the run that all of it needs takes its time


@pytest.fixture(scope="module")
def demo(finished_image_run: Run) -> ImageDemo:
    return ImageDemo(Predictor.load(finished_image_run.folder, precision="fp32"))


def test_the_demo_answers_the_whole_test_split_as_it_was_measured(
    demo: ImageDemo, finished_image_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(str(demo.predictor.task.config.image_folder))  # type: ignore[attr-defined]
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(root))
    records = [json.loads(line) for line in finished_image_run.predictions.read_text().splitlines()]
    best = read_json(finished_image_run.results)["comparison"]["against"]

    async def ask() -> list[Any]:
        return await asyncio.gather(*(demo.predict({"path": str(root / record["input"])}) for record in records))

    answers, near = asyncio.run(ask()), rounding(finished_image_run)
    assert len(answers) == 36 and any(record["input"].endswith(".jpg") for record in records)
    for answer, record in zip(answers, records, strict=True):
        measured, settings = record["prediction"], demo.task.settings
        logits = np.asarray([measured["details"]["logits"]])
        expected = probabilities(logits, settings["temperature"])[0]
        assert answer["label"] == measured["value"]
        assert list(answer["probabilities"].values()) == pytest.approx(expected.tolist(), abs=near)
        assert answer["confidence"] == pytest.approx(measured["confidence"], abs=near)
        if near == 1e-5 or abs(measured["confidence"] - settings["threshold"]) > near:
            assert answer["sure"] == measured.get("sure", True)
        assert answer["baseline"] == record["baselines"][best]["value"]


def test_the_examples_are_answered_like_the_pictures_that_they_show(
    demo: ImageDemo, finished_image_run: Run, uploads: Path
) -> None:
    records = {
        record["id"]: record for record in map(json.loads, finished_image_run.predictions.read_text().splitlines())
    }
    assert len(demo.examples) > 0
    for example in demo.examples:
        kept, answer, _ = asyncio.run(demo.show_example(example))
        file = uploads / Path(kept).name
        file.write_bytes(Path(kept).read_bytes())
        measured = records[example["id"]]["prediction"]["value"]
        assert asyncio.run(demo.predict({"path": str(file)}))["label"] == measured
        assert f"the test set says <b>{example['reference']}</b>" in answer
        assert demo.example_icon(example).startswith("data:image/png;base64,")


def test_a_kept_picture_is_answered_like_its_original(
    demo: ImageDemo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decoding a large JPEG at a part of its size makes other pixels than shrinking it does."""
    Image.effect_noise((900, 700), 80).convert("RGB").save(tmp_path / "large.jpg")
    monkeypatch.setattr(demo.predictor.task, "root", tmp_path, raising=False)
    demo.predictor.task.keep_input({"image": "large.jpg"}, tmp_path / "kept")
    original, kept = demo.predictor.predict([tmp_path / "large.jpg", tmp_path / "kept.png"])
    assert demo.task.probabilities(kept) == pytest.approx(demo.task.probabilities(original), abs=1e-5)


def test_the_named_endpoint_answers_over_http(served_images: gr.Blocks, demo: ImageDemo, tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(png())
    client = Client(served_images.local_url, verbose=False)
    answer = client.predict(handle_file(str(tmp_path / "one.png")), api_name="/predict")
    assert answer["label"] == demo.predictor.predict([tmp_path / "one.png"])[0].value
    assert set(answer) == {"label", "confidence", "sure", "doubt", "probabilities", "baseline", "milliseconds"}
    assert set(client.view_api(return_format="dict")["named_endpoints"]) == {
        "/predict",
        "/explain",
        "/correct",
        "/answer_files",
    }


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("text.png", b"only words", "The picture is no picture of a known format"),
        ("cut.png", png()[:60], "The picture is damaged or cut short"),
        ("shorter.png", png()[:12], "The picture begins like a PNG, but is damaged"),
        ("bomb.png", bomb(), "million pixels: save it smaller"),
        ("large.png", bomb(6_000), "The picture has more than 25 million pixels"),
        ("long.png", long(), "The picture is over 50 times as long as it is wide: give a part of it"),
        ("vector.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "This kind of file cannot be read"),
        ("script.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "This kind of file cannot be read"),
        (
            "script.png",
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
            "The picture is no picture of a known format",
        ),
        ("short.tif", short_strip(), "This kind of file cannot be read: give one that ends in .jpg"),
        ("short.png", short_strip(), "The picture is no picture of a known format: give JPEG, PNG, WEBP, BMP, GIF."),
        ("short.jpg", short_strip("group4", "1"), "The picture is no picture of a known format"),
        ("empty.jpg", b"", "The picture is no picture of a known format"),
        ("<img src=x onerror=alert(1)>.png", b"no picture", "The picture is no picture of a known format"),
    ],
)
def test_bad_pictures_get_a_sentence_without_a_path(
    served_images: gr.Blocks, tmp_path: Path, name: str, content: bytes, sentence: str
) -> None:
    (tmp_path / name).write_bytes(content)
    client = Client(served_images.local_url, verbose=False)
    for endpoint, wrapped in (("/predict", False), ("/explain", False), ("/answer_files", True)):
        file = handle_file(str(tmp_path / name))
        with pytest.raises(AppError) as caught:
            client.predict([file] if wrapped else file, api_name=endpoint)
        assert sentence in str(caught.value)
        assert (
            "/tmp" not in str(caught.value)
            and str(tmp_path) not in str(caught.value)
            and "<img" not in str(caught.value)
        )


@pytest.mark.parametrize(
    "value",
    [
        None,
        17,
        "",
        "/etc/passwd",
        "a\0b",
        "x" * 5_000,
        [["a"], 3],
        {"path": "/etc/passwd"},
        {"path": None},
        {"path": ["a"]},
    ],
)
def test_what_is_no_upload_gets_a_sentence(served_images: gr.Blocks, value: Any) -> None:
    for endpoint, data in (
        ("predict", [value]),
        ("explain", [value]),
        ("correct", [value, "circle"]),
        ("answer_files", [[value]]),
    ):
        kind, answer = call(served_images.local_url, endpoint, *data)
        assert kind == "error" and re.search("There (is no picture|are no pictures) yet", answer["error"]), endpoint


def test_no_picture_of_the_machine_can_be_shown(served_images: gr.Blocks, finished_image_run: Run) -> None:
    """Gradio lets any path pass that comes without `meta`."""
    ours = next(finished_image_run.inputs.glob("*.png"))
    for path in ("/etc/passwd", str(ours), f"{Path.cwd()}/common/../pyproject.toml"):
        assert httpx.get(f"{served_images.local_url}gradio_api/file={path}").status_code in (403, 404)
        for meta in ({}, {"meta": {"_type": "gradio.FileData"}}):
            for endpoint, data in (
                ("predict", [{"path": path, **meta}]),
                ("explain", [{"path": path, **meta}]),
                ("answer_files", [[{"path": path, **meta}]]),
            ):
                kind, said = call(served_images.local_url, endpoint, *data)
                assert kind == "error"
                assert not any(
                    word in str(said) for word in (str(finished_image_run.folder), "root:", "Traceback", "/etc", "/tmp")
                )
    data = "data:image/png;base64," + base64.b64encode(png()).decode()
    assert (
        "There is no picture yet" in call(served_images.local_url, "explain", {"path": None, "url": data})[1]["error"]
    )


def test_the_server_fetches_nothing_for_a_visitor(served_images: gr.Blocks) -> None:
    address = {
        "path": "https://example.invalid/a.png",
        "url": "https://example.invalid/a.png",
        "meta": {"_type": "gradio.FileData"},
    }
    for endpoint, data in (("predict", address), ("explain", address), ("answer_files", [address])):
        kind, said = call(served_images.local_url, endpoint, data)
        assert kind == "error" and "Give the file itself" in said["error"]


def test_a_huge_picture_is_refused_while_it_arrives(served_images: gr.Blocks) -> None:
    huge = b"\0" * (LIMITS.file_bytes + 1_000)
    assert (
        httpx.post(
            f"{served_images.local_url}gradio_api/upload", files={"files": ("huge.png", huge)}, timeout=30
        ).status_code
        == 413
    )


def test_of_an_animation_the_first_picture_is_answered(demo: ImageDemo, uploads: Path) -> None:
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue", "lime")]
    frames[0].save(uploads / "moving.gif", save_all=True, append_images=frames[1:])
    Image.open(uploads / "moving.gif").convert("RGB").save(uploads / "first.png")
    moving, first = (asyncio.run(demo.predict({"path": str(uploads / name)})) for name in ("moving.gif", "first.png"))
    assert moving["probabilities"] == pytest.approx(first["probabilities"])


def test_many_pictures_are_answered_in_their_order(served_images: gr.Blocks, demo: ImageDemo, tmp_path: Path) -> None:
    files = [tmp_path / f"{colour}.png" for colour in ("red", "blue", "white")]
    for file in files:
        file.write_bytes(png(colour=file.stem))
    got, shown = Client(served_images.local_url, verbose=False).predict(
        [handle_file(str(file)) for file in files], api_name="/answer_files"
    )
    with Path(got["value"]).open(encoding="utf-8-sig", newline="") as opened:
        table = list(csv.reader(opened))
    assert table[0] == ["picture", "answer", "confidence", "sure"]
    assert [line[:2] for line in table[1:]] == [
        [file.name, answer.value] for file, answer in zip(files, demo.predictor.predict(files), strict=True)
    ]
    assert "blue.png" in str(shown)


def test_of_many_pictures_those_that_cannot_be_read_are_named(served_images: gr.Blocks, tmp_path: Path) -> None:
    contents = {"good.png": png(), "bad.png": b"no picture", "short.png": short_strip(), "too.png": png(colour="blue")}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    files = [handle_file(str(tmp_path / name)) for name in contents]
    got, _ = Client(served_images.local_url, verbose=False).predict(files, api_name="/answer_files")
    with Path(got["value"]).open(encoding="utf-8-sig", newline="") as opened:
        head, *lines = csv.reader(opened)
    assert [line[0] for line in lines] == [*contents]
    answers = [line[head.index("answer")] for line in lines]
    assert [answer in SHAPES for answer in answers] == [True, False, False, True]
    whole = [" ".join(line) for line in lines]
    assert "no picture of a known format" in whole[1] and "no picture of a known format" in whole[2]


def test_rubbish_in_exif_data_is_answered_and_explained(served_images: gr.Blocks, tmp_path: Path) -> None:
    block = TiffImagePlugin.ImageFileDirectory_v2(group=None)
    block.tagtype[0x010F] = 5  # the maker as a number
    block[0x0112], block[0x010F] = 6, TiffImagePlugin.IFDRational(7, 2)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + block.tobytes(8)
    Image.effect_noise((60, 40), 60).convert("RGB").save(tmp_path / "a.jpg", exif=exif)
    client = Client(served_images.local_url, verbose=False)
    label = client.predict(handle_file(str(tmp_path / "a.jpg")), api_name="/predict")["label"]
    because = client.predict(handle_file(str(tmp_path / "a.jpg")), api_name="/explain")
    assert f"<b>{label}</b>" in because
    with Image.open(io.BytesIO(base64.b64decode(re.findall(r"data:image/jpeg;base64,([^\"]+)", because)[0]))) as seen:
        assert seen.width < seen.height and "exif" not in seen.info


def test_a_batch_of_the_model_holds_few_pixels(demo: ImageDemo, uploads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of large ones would keep the model from everybody else for a minute."""
    for number in range(4):
        Image.new("RGB", (5_000, 4_000), (60 * number, 0, 0)).save(uploads / f"large{number}.png")
        (uploads / f"small{number}.png").write_bytes(png(side=40 + number))
    files = {size: [uploads / f"{size}{number}.png" for number in range(4)] for size in ("large", "small")}
    batches: list[list[str]] = []

    def watched(questions: list[Question]) -> list[tuple[Prediction, None]]:
        batches.append([question.value.name for question in questions])
        return [(Prediction(question.value.name), None) for question in questions]

    monkeypatch.setattr(demo.queue, "answer", watched)

    async def many() -> list[Prediction]:
        visits = [demo.prediction(file) for size in ("large", "small") for file in files[size]]
        return await asyncio.gather(*map(asyncio.create_task, visits))

    answers = asyncio.run(many())
    assert [one.value for one in answers] == [file.name for size in ("large", "small") for file in files[size]]
    assert [len(batch) for batch in batches] == [1, 1, 1, 5], "two large ones have more pixels than one may have"


def test_visitors_open_their_pictures_in_turn(demo: ImageDemo, uploads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture of 84 KB may take 400 MB while it is opened, and Python has a thread for each of many visitors."""
    (uploads / "one.png").write_bytes(png())
    here, most, lock = 0, 0, threading.Lock()

    def slow(*arguments: Any) -> Image.Image:
        nonlocal here, most
        with lock:
            here += 1
            most = max(most, here)
        time.sleep(0.05)
        with lock:
            here -= 1
        return opened(*arguments)

    monkeypatch.setattr("apps.image_classification.opened", slow)

    async def many() -> None:
        await asyncio.gather(*(demo.checked({"path": str(uploads / "one.png")}) for _ in range(5)))

    asyncio.run(many())
    assert most == 1


def test_too_many_pictures_are_refused(demo: ImageDemo) -> None:
    for value, sentence in (
        ([{"path": "a.png"}] * 101, "At most 100 pictures"),
        ([], "no pictures yet"),
        (None, "no pictures yet"),
        (3, "no pictures yet"),
    ):
        with pytest.raises(gr.Error, match=sentence):
            asyncio.run(demo.answer_files(value))


def test_corrections_can_be_trained_on(served_images: gr.Blocks, finished_image_run: Run, tmp_path: Path) -> None:
    picture = Image.effect_noise((90, 70), 90).convert("RGB")
    picture.save(tmp_path / "new.png")
    client = Client(served_images.local_url, verbose=False)
    config = load(ImageClassificationConfig, finished_image_run.config)
    with fresh_corrections(finished_image_run) as file:
        assert "it is kept" in client.predict(handle_file(str(tmp_path / "new.png")), "circle", api_name="/correct")
        for label in ("no such label", None, ["circle"]):
            with pytest.raises(AppError, match="Choose the right label"):
                client.predict(handle_file(str(tmp_path / "new.png")), label, api_name="/correct")
        (line,) = file.read_text().splitlines()
        row = json.loads(line)
        assert row["label"] == "circle" and notes_of(row)["answer"] in SHAPES
        review(file, ["all"], [])
        before, after = (
            load_rows(dataclasses.replace(config, extra_train_file=extra))[0].splits
            for extra in (None, str(kept_file(file)))
        )
        kept_file(file).unlink()
        assert len(after["train"]) == len(before["train"]) + 1 and after["test"]["id"] == before["test"]["id"]
        assert set(after["train"]["sha256"]) - set(before["train"]["sha256"]) == {
            hashlib.sha256((tmp_path / "new.png").read_bytes()).hexdigest()
        }


def test_corrections_can_be_moved(
    demo: ImageDemo, finished_image_run: Run, uploads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load(ImageClassificationConfig, finished_image_run.config)
    (uploads / "run").mkdir()
    monkeypatch.setattr(demo, "corrections", Corrections(uploads / "run" / "corrections.jsonl", "label"))
    Image.effect_noise((90, 70), 90).convert("RGB").save(uploads / "new.PNG")
    asyncio.run(demo.correct({"path": str(uploads / "new.PNG")}, "circle"))
    review(uploads / "run" / "corrections.jsonl", ["all"], [])
    (uploads / "run").rename(uploads / "elsewhere")
    kept = kept_file(uploads / "elsewhere/corrections.jsonl")
    row = json.loads(kept.read_text())
    assert row["image"].startswith("corrections/") and row["image"].endswith(".png")
    data, root = load_rows(dataclasses.replace(config, extra_train_file=str(kept)))
    assert (root / data.splits["train"][-1]["image"]).resolve() == (uploads / "elsewhere" / row["image"]).resolve()


def test_no_pixel_of_a_corrected_picture_is_lost(
    demo: ImageDemo, finished_image_run: Run, uploads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor of a large JPEG that lies on its side.  A picture of the test split is known again, and not trained on."""
    monkeypatch.setattr(demo, "corrections", Corrections(uploads / "corrections.jsonl", "label"))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.effect_noise((900, 700), 80).convert("RGB").save(uploads / "large.jpg", exif=exif)
    config = load(ImageClassificationConfig, finished_image_run.config)
    before, root = load_rows(config)
    shutil.copy(root / before.splits["test"][0]["image"], uploads / "known.png")
    for name in ("large.jpg", "known.png"):
        asyncio.run(demo.correct({"path": str(uploads / name)}, "circle"))
    large, _ = (
        uploads / json.loads(line)["image"] for line in (uploads / "corrections.jsonl").read_text().splitlines()
    )
    assert np.array_equal(np.asarray(opened(large)), np.asarray(opened(uploads / "large.jpg"))) and opened(
        large
    ).size == (700, 900)
    review(uploads / "corrections.jsonl", ["all"], [])
    kept = kept_file(uploads / "corrections.jsonl")
    after, _ = load_rows(dataclasses.replace(config, extra_train_file=str(kept)))
    assert len(after.splits["train"]) == len(before.splits["train"]) + 1
    assert after.splits["train"][-1]["sha256"] == hashlib.sha256(large.read_bytes()).hexdigest()


def test_a_full_folder_of_corrections_takes_no_more(
    demo: ImageDemo, uploads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (uploads / "corrections").mkdir()
    (uploads / "corrections" / "old.png").write_bytes(b"\0" * 200)
    (uploads / "one.png").write_bytes(png())
    limits = dataclasses.replace(LIMITS, pictures_bytes=4_096)
    monkeypatch.setattr(demo, "corrections", Corrections(uploads / "corrections.jsonl", "label", limits))
    with pytest.raises(gr.Error, match="is full"):
        asyncio.run(demo.correct({"path": str(uploads / "one.png")}, "circle"))
    assert [file.name for file in (uploads / "corrections").iterdir()] == ["old.png"]


def test_the_decisive_place_is_orange(demo: ImageDemo, uploads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that says "circle" by the redness of the upper left corner."""

    def by_corner(pictures: list[Any]) -> list[Prediction]:
        found = []
        for picture in pictures:
            opened = picture if isinstance(picture, Image.Image) else Image.open(picture)
            red = float(np.asarray(opened.convert("RGB"))[:10, :10, 0].mean() / 255)
            chances = np.asarray([{"circle": red, "square": 1 - red}.get(label, 0.0) for label in demo.labels])
            logits = demo.task.settings["temperature"] * np.log(np.maximum(chances, 1e-9))
            found.append(Prediction("circle", red, True, {"logits": logits.tolist()}))
        return found

    picture = Image.new("RGB", (100, 100), "black")
    picture.paste("red", (0, 0, 10, 10))
    picture.save(uploads / "corner.png")
    monkeypatch.setattr(demo.predictor, "predict", by_corner)
    shares = asyncio.run(demo.covered_shares(picture, "circle"))
    assert shares.shape == (GRID, GRID)
    assert shares.argmax() == 0 and shares[0, 0] > 0.9 and np.abs(shares[2:, 2:]).max() == 0
    light, words = asyncio.run(demo.light(uploads / "corner.png"))
    pixels = np.asarray(light.convert("L"), dtype=float)
    height, width = pixels.shape
    assert pixels[: height // 20, : width // 20].mean() > 2 * pixels[height // 2 :, width // 2 :].mean()
    assert "<b>circle</b>" in words and "covering the strongest place takes" in words


def test_nothing_is_bright_where_nothing_matters() -> None:
    picture = Image.new("RGB", (30, 20), "white")
    assert np.asarray(lit(picture, np.zeros((GRID, GRID)))).std() == pytest.approx(
        np.asarray(lit(picture, -np.ones((GRID, GRID)))).std()
    )
    words = meaning(Prediction("<b>", 0.5, False), np.zeros((GRID, GRID)))
    assert "no single place" in words and "&lt;b&gt;" in words


def test_every_place_is_covered_by_the_squares() -> None:
    picture = Image.effect_noise((57, 31), 50).convert("RGB")
    whole = np.asarray(picture)
    changed = [
        np.any(np.asarray(covered(picture, row, column)) != whole, axis=2)
        for row in range(GRID)
        for column in range(GRID)
    ]
    assert np.mean(np.any(changed, axis=0)) > 0.95, "but for the pixels that had the grey already"
    assert max(map(np.mean, changed)) < 0.06


def test_a_drawing_is_a_picture_like_any_other(demo: ImageDemo) -> None:
    picture = Image.new("RGB", (drawing.SIDE, drawing.SIDE), "black")
    picture.paste("white", (100, 100, 180, 180))
    content = io.BytesIO()
    picture.save(content, "PNG")
    file = asyncio.run(demo.drawn(drawing.PREFIX + base64.b64encode(content.getvalue()).decode()))
    assert np.array_equal(np.asarray(Image.open(file)), np.asarray(picture))
