"""The demo of image classification: show or draw it something, see where it looked, see how good it is."""

import asyncio
import base64
import io
import threading
from pathlib import Path
from typing import Any, ClassVar

import gradio as gr
import numpy as np
from PIL import Image, ImageFilter

from apps.parts import drawing, server
from apps.parts.classifier import ClassifierDemo, said
from apps.parts.guard import guarded
from apps.parts.inputs import LIMITS, checked_file, fresh_folder, or_nothing, uploaded
from apps.parts.uploads import UPLOAD
from common.predictor import Predictor
from common.system.errors import UserError
from common.task.contract import Prediction
from projects.image_classification.pictures import VISITORS_FORMATS, VISITORS_SUFFIXES, opened
from projects.image_classification.task import ImageClassification

MISSING = "There is no picture yet: choose, paste or draw one first."
# Gradio's own words differ from those that it gives to screen readers.
PLACEHOLDER = "Drop an image file here to upload"
# A picture is covered at so many places along each side, by squares that overlap by a half.
GRID = 9
# A light that dims to less than so many pixels in 280 would show the grid.
SOFT = 24
# The longer side of an example on its button, in pixels.
ICON = 96


class ImageDemo(ClassifierDemo):
    """Questions are files of pictures: the model opens them just as it did when it was measured."""

    arguments: ClassVar[dict[str, Any]] = {"picture": gr.FileData}
    preprocess: ClassVar[bool] = False
    dearest: ClassVar[float] = LIMITS.pixels  # a batch of large ones would keep the model from everybody for a minute
    keeps: ClassVar[str] = (
        "The picture is kept, without the place and time that a camera may have written into its file."
    )
    explanation: ClassVar[str] = (
        "A square of the picture was covered in turn; where the answer gets less probable without it, the model looked."
    )

    def __init__(self, predictor: Predictor):
        super().__init__(predictor)
        assert isinstance(predictor.task, ImageClassification)
        self.least = predictor.task.least
        self.opening = threading.Lock()  # a whole picture takes up to half a gigabyte: visitors open theirs in turn

    async def checked(self, given: Any) -> Path:
        file = checked_file(uploaded(given), VISITORS_SUFFIXES, MISSING)
        await asyncio.to_thread(self._opened, file)  # one that cannot be opened would fail the whole batch
        return file

    def _opened(self, file: Path) -> Image.Image:
        """The picture, at most twice as large as the model needs it.

        Raises UserError with one sentence without the file's name.
        """
        with self.opening:
            try:
                picture = opened(file, self.least, VISITORS_FORMATS, LIMITS.pixels)
            except UserError as error:
                raise UserError(str(error).replace(file.name, "The picture", 1)) from None
            picture.thumbnail((2 * self.least, 2 * self.least))
        return picture

    def cost(self, question: Path | Image.Image) -> float:
        if isinstance(question, Image.Image):
            return question.width * question.height
        with Image.open(question, formats=VISITORS_FORMATS) as header:
            return header.width * header.height

    def kept(self, question: Path) -> dict[str, Any]:
        return {self.column("image"): question}

    def question_boxes(self) -> list[Any]:
        looks: dict[str, Any] = {"height": 260, "buttons": [], "elem_classes": "picture", "placeholder": PLACEHOLDER}
        box = gr.Image(
            type="filepath",
            sources=["upload", "clipboard"],
            label="A picture",
            alt_text="The picture that is asked about",
            **looks,
        )
        box.data_model = or_nothing(box.data_model)
        return [box]

    def as_values(self, question: Path) -> list[Any]:
        return [str(question)]

    def example_input(self, example: dict[str, Any]) -> Path | None:
        return self.run.input(example["id"]) if self.run else None

    def example_label(self, example: dict[str, Any]) -> str:
        return str(example["kind"]).capitalize()

    def example_icon(self, example: dict[str, Any]) -> str:
        picture = opened(self.example_input(example) or Path())
        picture.thumbnail((ICON, ICON))
        return as_data_uri(picture)

    def more_ways_to_ask(self) -> dict[str, Any]:
        ground, in_grey = self._paper()
        with gr.Accordion("Draw one here", open=in_grey, elem_classes="drawing"):
            drawing.pad(ground)
            self.draw, self.drawing = gr.Button("Ask about the drawing"), gr.Textbox(visible=False)
        return {}

    def listen(self, boxes: list[Any], answered: list[Any]) -> None:
        gr.on(None, None, js=drawing.FOLD, api_visibility="private")  # when the page is there
        drawn = self.draw.click(self.drawn, self.drawing, boxes, js=drawing.READ, api_visibility="private")
        drawn.success(self.ask, boxes, answered, preprocess=False, scroll_to_output=True, api_visibility="private")

    def _paper(self) -> tuple[str, bool]:
        """The colour to draw on, black or white like the corners of the examples, and whether those have no colours."""
        files = [self.example_input(example) for example in self.examples]
        pictures = [np.asarray(opened(file), dtype=np.float64) for file in files if file]
        corners = [picture[0, 0].mean() for picture in pictures]
        in_grey = bool(pictures) and all(np.ptp(picture, axis=2).max() == 0 for picture in pictures)
        return "black" if corners and np.mean(corners) < 128 else "white", in_grey

    @guarded(LIMITS.seconds)
    async def drawn(self, value: Any) -> str:
        """A drawing as the file of a picture."""
        file = fresh_folder(Path(self.files.name)) / "drawing.png"
        await asyncio.to_thread(drawing.save, value, file)
        return str(file)

    async def because(self, question: Path) -> str:
        light, words = await self.light(question)
        alt = "The picture, orange where the model looked"
        return f'<img class="light" src="{as_data_uri(light)}" alt="{alt}">{words}'

    async def light(self, picture: Path) -> tuple[Image.Image, str]:
        """The checked picture, dark where covering it changes nothing, and what that means as HTML.

        A place's share is what the answer's probability loses when a square around it is covered with the picture's
        mean colour (occlusion: Zeiler & Fergus 2014, section 4.2).
        """
        whole = await self.prediction(picture)
        shown = await asyncio.to_thread(self._opened, picture)
        shares = await self.covered_shares(shown, whole.value)
        return await asyncio.to_thread(lit, shown, shares), meaning(whole, shares)

    async def covered_shares(self, picture: Image.Image, label: str) -> np.ndarray[Any, Any]:
        """(GRID, GRID) what the label's probability loses when a place of the picture is covered."""
        uncovered = await self.prediction(picture)
        rows = []
        for row in range(GRID):  # one row after the other: all copies at once would need much memory
            copies = [covered(picture, row, column) for column in range(GRID)]
            rows.append(await self.shares(label, uncovered, copies))
        return np.asarray(rows)

    @guarded(LIMITS.file_seconds)
    async def answer_files(self, paths: Any, progress: gr.Progress = gr.Progress()) -> tuple[Any, str]:  # noqa: B008
        """A CSV with the answers to each of the uploaded pictures, and its first rows as HTML."""
        if not isinstance(paths, list) or not paths:
            raise UserError("There are no pictures yet: choose some first.")
        if len(paths) > LIMITS.pictures:
            raise UserError(f"At most {LIMITS.pictures} pictures are answered at once: choose fewer.")
        files = [await self._checked_or_why_not(path) for path in paths]
        good = [file for file in files if isinstance(file, Path)]
        if not good:
            raise UserError(f"None of these can be answered. Picture 1: {files[0]}")
        answers = iter(await self.answers_in_turn(good, progress))
        names = [Path(uploaded(path) or f"picture {number}").name for number, path in enumerate(paths, 1)]
        found = [next(answers) if isinstance(file, Path) else file for file in files]
        return self.answers_file(["picture"], [[name] for name in names], found)

    async def _checked_or_why_not(self, path: Any) -> Path | str:
        try:
            return await self.checked(path)
        except UserError as error:
            return str(error)

    def many_tab(self) -> None:
        gr.Markdown(
            f"At most {LIMITS.pictures} pictures of {LIMITS.file_bytes // 1_000_000} MB each and "
            f"{UPLOAD // 1_000_000} MB in all; the answers come as a CSV."
        )
        files = gr.UploadButton(
            "Choose pictures",
            file_types=list(VISITORS_SUFFIXES),
            file_count="multiple",
            variant="primary",
        )
        files.data_model = or_nothing(files.data_model)
        answers = gr.DownloadButton("Download the answers", visible=False)
        table = gr.HTML()
        files.upload(self.answer_files, files, [answers, table], preprocess=False, api_name="answer_files")


def as_data_uri(picture: Image.Image) -> str:
    """A picture as an address that holds it."""
    file, kind = io.BytesIO(), "png" if max(picture.size) <= ICON else "jpeg"
    picture.save(file, kind, quality=88)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def covered(picture: Image.Image, row: int, column: int) -> Image.Image:
    """The picture with a square of its mean colour at one place of the grid."""
    mean = tuple(int(value) for value in np.asarray(picture).reshape(-1, 3).mean(axis=0))
    width, height = picture.width / (GRID + 1), picture.height / (GRID + 1)
    copy = picture.copy()
    copy.paste(
        mean, (round(column * width), round(row * height), round((column + 2) * width), round((row + 2) * height))
    )
    return copy


def lit(picture: Image.Image, shares: np.ndarray[Any, Any]) -> Image.Image:
    """The picture, orange in proportion to the shares (rows, columns) that are above nothing."""
    strength = np.clip(shares / max(float(shares.max()), 1e-6), 0, 1)
    scale = max(1, round(SOFT * 12 / max(picture.size)))  # the light on a small picture is as soft as on a large one
    picture = picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.BICUBIC)
    light = Image.fromarray((255 * strength).astype(np.uint8)).resize(picture.size, Image.Resampling.BICUBIC)
    light = light.filter(ImageFilter.GaussianBlur(max(picture.size) / (2 * SOFT)))
    tinted = Image.blend(picture, Image.new("RGB", picture.size, "#f59e0b"), 0.55)
    dark = Image.blend(picture, Image.new("RGB", picture.size, "#1f2937"), 0.6)
    return Image.composite(tinted, dark, light)


def meaning(whole: Prediction, shares: np.ndarray[Any, Any]) -> str:
    """What the orange places mean, in words."""
    answer = said(whole)
    if shares.max() <= 0:
        return f"<p>{answer} Covering no single place makes it less probable.</p>"
    most = f"covering the strongest place takes {100 * shares.max():.1f} points from its probability"
    against = f"; covering another adds {-100 * shares.min():.1f}" if shares.min() < -0.01 else ""
    return f"<p>{answer} Orange is where it looked: {most}{against}.</p>"


build = ImageDemo.build

if __name__ == "__main__":
    server.main(build, __file__)
