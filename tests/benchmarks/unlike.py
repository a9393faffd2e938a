"""Which inputs are found to be unlike the training data: by which vectors, and at what price?

    python -m tests.benchmarks.unlike RUN [--write]

The test split, the run's out-of-domain sets, inputs without a meaning, and inputs from elsewhere are held against the
training rows that the run remembers: by the vectors of the fine-tuned model, which is what the demo does; by those of
the pretrained model as it came; and by the confidence alone. Each way calls 5 % of the validation rows unlike.
"""

import argparse
import json
import string
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

REPOSITORY = Path(__file__).resolve().parents[2]
ROWS = 300  # of each set
CHOSEN = "fine-tuned"
LANGUAGES = """
Das Wetter ist heute sehr schön. | Wo ist der nächste Bahnhof? | Ich habe gestern ein gutes Buch gelesen.
Le chat dort sur le canapé. | Où est la gare la plus proche ? | Il fait très beau aujourd'hui.
El gato duerme en el sofá. | ¿Dónde está la estación? | Hoy hace muy buen tiempo.
Il gatto dorme sul divano. | Dov'è la stazione più vicina? | Oggi il tempo è molto bello.
今天天气很好。 | 昨天我读了一本书。 | 今日は天気がとてもいいです。 | 一番近い駅はどこですか。
Сегодня очень хорошая погода. | Где ближайшая станция? | الطقس جميل جدا اليوم. | أين أقرب محطة؟
आज मौसम बहुत अच्छा है। | Hava bugün çok güzel. | Gdzie jest najbliższy dworzec? | Onde fica a estação mais próxima?
"""
Values = NDArray[np.float64]
Ask = Callable[[list[Any]], Any]


def main() -> None:
    from common.predictor import Predictor
    from common.system.hardware import describe
    from common.system.progress import quiet_libraries

    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--write", action="store_true", help="keep the figures beside the project")
    options = parser.parse_args()
    quiet_libraries()
    predictor = Predictor.load(options.run)
    data = predictor.task.data()
    task: Any = predictor.task
    if task.neighbours is None:
        raise SystemExit(f"{options.run} remembers no training rows: train it anew.")
    with tempfile.TemporaryDirectory() as folder:
        sets = sets_of(task, data, Path(folder))
        ways = {
            CHOSEN: by_the_model(predictor),
            "pretrained": by_the_pretrained(task, options.run, data),
            "confidence": by_the_confidence(predictor),
        }
        scores: dict[str, dict[str, Values]] = {}
        for way, ask in ways.items():
            scores[way] = {name: ask(inputs) for name, inputs in sets.items()}
            print(way, flush=True)
        price = milliseconds(predictor, sets["test"])
    found = {
        "run": options.run.name,
        "device": describe(predictor.device)["device"],
        "remembered": len(task.neighbours),
        "bytes": sum(file.stat().st_size for file in (options.run / "neighbours").glob("*.safetensors")),
        **price,
        "rows": {name: len(inputs) for name, inputs in sets.items() if name != "validation"},
        "ways": {way: figures(of_way) for way, of_way in scores.items()},
        "right": right(options.run),
    }
    print(json.dumps(found, indent=1))
    if options.write:
        file = REPOSITORY / "projects" / predictor.task.project / "results/unlike.json"
        file.write_text(json.dumps(found, indent=1) + "\n")


def right(run: Path) -> dict[str, list[float]]:
    """{test set: the primary metric on the rows that are found unlike, and on the others}, of all rows of the set."""
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    sets = {"test": results, **results["out_of_domain"]}
    return {
        name: [of_set["doubted"][part]["metrics"][results["primary_metric"]]["value"] for part in ("those", "others")]
        for name, of_set in sets.items()
        if "doubted" in of_set
    }


def sets_of(task: Any, data: Any, folder: Path) -> dict[str, list[Any]]:
    """The raw inputs of each set: all validation rows, and up to `ROWS` of each other one."""
    random = np.random.default_rng(0)

    def some(rows: Any) -> list[Any]:
        chosen = np.sort(random.permutation(len(rows))[:ROWS])
        return [task.raw_input(row) for row in rows.select(chosen)]

    validation = data.splits["validation"]
    leaked = set(data.leaked.get("validation", ()))
    own = [index for index, name in enumerate(validation["id"]) if name not in leaked]
    found = {"validation": [task.raw_input(row) for row in validation.select(own)]}
    found |= {name: some(rows) for name, rows in data.tests.items()}
    found |= {name: some(rows) for name, rows in task.meaningless(validation, ROWS, folder).items()}
    elsewhere = texts_from_elsewhere if task.input_columns == ("text",) else pictures_from_elsewhere
    return found | elsewhere(random)


def texts_from_elsewhere(random: np.random.Generator) -> dict[str, list[Any]]:
    """Python, voice commands and other languages."""
    from common.data.voice_commands import sample_commands

    code = [line.strip() for line in Path(string.__file__).with_name("argparse.py").read_text().splitlines()]
    commands = sorted({command.text for command in sample_commands()[0]})
    found = {
        "other languages": [text.strip() for text in LANGUAGES.strip().replace("\n", "|").split("|")],
        "Python": [line for line in code if len(line) > 25],
        "commands to a voice assistant": commands,
    }
    return {name: [texts[i] for i in random.permutation(len(texts))[:ROWS].tolist()] for name, texts in found.items()}


def pictures_from_elsewhere(random: np.random.Generator) -> dict[str, list[Any]]:
    """Parts of the two photographs that come with scikit-learn, and printed letters."""
    from PIL import Image, ImageDraw, ImageFont
    from sklearn.datasets import load_sample_images

    photographs = [Image.fromarray(pixels) for pixels in load_sample_images().images]
    parts = []
    for number in range(100):
        photograph, side = photographs[number % len(photographs)], int(random.integers(60, 300))
        x, y = (int(random.integers(whole - side)) for whole in photograph.size)
        parts.append(photograph.crop((x, y, x + side, y + side)))
    letters = []
    for letter in string.ascii_letters:
        picture = Image.new("RGB", (28, 28))
        ImageDraw.Draw(picture).text((14, 14), letter, "white", ImageFont.load_default(22), anchor="mm")
        letters.append(picture)
    return {"parts of photographs": parts, "printed letters": letters}


def by_the_model(predictor: Any) -> Ask:
    def distances(inputs: list[Any]) -> Values:
        return np.asarray([answer.details["distance"] for answer in predictor.predict(inputs)])

    return distances


def by_the_confidence(predictor: Any) -> Ask:
    def doubts(inputs: list[Any]) -> Values:
        return np.asarray([1 - answer.confidence for answer in predictor.predict(inputs)])

    return doubts


def by_the_pretrained(task: Any, run: Path, data: Any) -> Ask:
    """The same distances by the vectors of the pretrained model, to the same training rows."""
    import torch

    from common.evaluation.baselines import FrozenEncoder
    from common.kinds.classification import remembered_rows
    from common.models.neighbours import Neighbours
    from common.models.pretrained import pretrained

    source = pretrained(task.config.model, task.config.revision).folder
    vectors = FrozenEncoder(task, task.load_encoder(source), task.encoder_vectors)
    rows = remembered_rows(data.splits["train"], task.config.seed)
    neighbours = Neighbours(torch.from_numpy(vectors([task.raw_input(row) for row in rows])))

    def distances(inputs: list[Any]) -> Values:
        return neighbours.nearest(torch.from_numpy(vectors(inputs)))[0][:, 0].astype(np.float64)

    return distances


def figures(scores: dict[str, Values]) -> dict[str, dict[str, float]]:
    """{set: its share beyond the distance of 95 % of the validation rows, and its AUROC against the test rows}."""
    from sklearn.metrics import roc_auc_score

    from common.models.neighbours import farthest

    most = farthest(scores["validation"])
    assert most is not None
    found: dict[str, dict[str, float]] = {}
    for name, values in scores.items():
        if name == "validation":
            continue
        beyond = {"found": float((values > most).mean())}
        if name != "test":
            both = np.concatenate([scores["test"], values])
            beyond["auroc"] = float(roc_auc_score(np.arange(len(both)) >= len(scores["test"]), both))
        found[name] = beyond
    return found


def milliseconds(predictor: Any, inputs: list[Any]) -> dict[str, float]:
    """The median time of a question with and without the look-up, asked in turns."""
    task, neighbours = predictor.task, predictor.task.neighbours
    taken: dict[str, list[float]] = {"with_ms": [], "without_ms": []}
    for number, one in enumerate(inputs[:110]):
        for name, used in (("with_ms", neighbours), ("without_ms", None)):
            task.neighbours = used
            started = time.perf_counter()
            predictor.predict([one])
            if number >= 10:
                taken[name].append(1_000 * (time.perf_counter() - started))
    task.neighbours = neighbours
    return {name: float(np.median(values)) for name, values in taken.items()}


if __name__ == "__main__":
    main()
