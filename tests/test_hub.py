"""The Hub, for the first time: models and data sets by their ids, and uploads, against a double of it."""

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from datasets import ClassLabel, Dataset, Features, Image, List, Value

from common.run import Run
from common.system.files import read_json, write_json
from tests.conftest import REPOSITORY, SHAPES, draw_pictures, sentences
from tests.hub import TOKEN, Hub
from tests.projects.summarization.models import tiny_seq2seq
from tests.warm import Warm

MODEL, DATASET = "someone/tiny", "someone/topics"


def parquet(columns: dict[str, list[Any]], features: Features) -> bytes:
    content = io.BytesIO()
    Dataset.from_dict(columns, features=features).to_parquet(content)
    return content.getvalue()


def texts(count: int, seed: int = 0, hidden: bool = False) -> bytes:
    """Sentences with their classes; -1 for classes that are kept back."""
    names = sorted({row["label"] for row in sentences(30)})
    rows = sentences(count, seed)
    labels = [-1 if hidden else names.index(row["label"]) for row in rows]
    features = Features({"text": Value("string"), "label": ClassLabel(names=names)})
    return parquet({"text": [row["text"] for row in rows], "label": labels}, features)


def configs(**files: dict[str, str]) -> bytes:
    """The README of a data set, with the files of the splits of each configuration."""
    listed = [
        {"config_name": name, "data_files": [{"split": split, "path": path} for split, path in splits.items()]}
        for name, splits in files.items()
    ]
    return f"---\n{json.dumps({'configs': listed})}\n---\n".encode()


def pictures(folder: Path, count: int) -> bytes:
    files = draw_pictures(folder, count)
    features = Features({"image": Image(), "labels": ClassLabel(names=list(SHAPES))})
    columns: dict[str, list[Any]] = {
        "image": [{"bytes": file.read_bytes(), "path": file.name} for file in files],
        "labels": [SHAPES.index(file.parent.name) for file in files],
    }
    return parquet(columns, features)


def tagged(count: int, seed: int) -> bytes:
    """Sentences as words, of which those about music are names."""
    rows = [row["text"].split() for row in sentences(count, seed)]
    names = {"drum", "song", "piano", "choir", "guitar"}
    features = Features({"tokens": List(Value("string")), "ner_tags": List(ClassLabel(names=["O", "B-ART", "I-ART"]))})
    return parquet({"tokens": rows, "ner_tags": [[int(word in names) for word in row] for row in rows]}, features)


def asked(count: int) -> bytes:
    """Sentences as queries, with their words in another order as the documents that answer them."""
    queries = [row["text"] for row in sentences(count)]
    columns = {"query": queries, "answer": [" ".join(reversed(query.split())) for query in queries]}
    return parquet(columns, Features({"query": Value("string"), "answer": Value("string")}))


def answered(count: int, seed: int) -> bytes:
    """Questions as SQuAD 2.0 has them, for the first word of a sentence; every third one has no answer."""
    contexts = [row["text"] for row in sentences(count, seed)]
    firsts = [context.split()[0] if index % 3 else None for index, context in enumerate(contexts)]
    columns = {
        "id": [str(index) for index in range(count)],
        "title": [f"article {seed}, {index // 2}" for index in range(count)],
        "context": contexts,
        "question": [f"What begins sentence {index}?" for index in range(count)],
        "answers": [{"text": [word] if word else [], "answer_start": [0] if word else []} for word in firsts],
    }
    texts = {name: Value("string") for name in ("id", "title", "context", "question")}
    answers = {"text": List(Value("string")), "answer_start": List(Value("int32"))}
    return parquet(columns, Features({**texts, "answers": answers}))


def talks(count: int, seed: int) -> bytes:
    """Chats of one turn, in which sentences are answered by their classes."""
    rows = sentences(count, seed)
    chats = [[{"role": "user", "content": row["text"]}, {"role": "assistant", "content": row["label"]}] for row in rows]
    return parquet(
        {"messages": chats}, Features({"messages": List({"role": Value("string"), "content": Value("string")})})
    )


def news(count: int, seed: int) -> bytes:
    """Articles whose first sentence, without its full stop, is what people say of them."""
    rows = sentences(count, seed)
    columns = {"article": [f"{row['text']}. It is here." for row in rows], "highlights": [row["text"] for row in rows]}
    return parquet(columns, Features({"article": Value("string"), "highlights": Value("string")}))


@pytest.fixture(scope="module")
def hub(
    tiny_model: Path, tiny_chat_model: Path, tiny_image_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hub]:
    server = Hub(tmp_path_factory.mktemp("home"))
    drawn = tmp_path_factory.mktemp("drawn")
    distilbert = [f"distilbert/distilbert-base-{case}" for case in ("cased", "uncased")]
    for name in (MODEL, "sentence-transformers/all-MiniLM-L6-v2", "intfloat/e5-small-v2", *distilbert):
        server.add("model", name, tiny_model)
    server.add("model", "google/vit-base-patch16-224", tiny_image_model)
    splits = {"data/train-00000-of-00002.parquet": texts(120), "data/train-00001-of-00002.parquet": texts(60, 5)}
    for name in (DATASET, "fancyzhx/ag_news"):
        server.add("dataset", name, {**splits, "data/test-00000-of-00001.parquet": texts(60, 9)})
    beans = {f"data/{split}.parquet": pictures(drawn / split, count) for split, count in (("train", 60), ("test", 24))}
    server.add("dataset", "AI-Lab-Makerere/beans", beans)
    conll = {f"data/{split}.parquet": tagged(count, count) for split, count in (("train", 90), ("validation", 30))}
    server.add("dataset", "tomaarsen/conllpp", {**conll, "data/test.parquet": tagged(40, 40)})
    server.add("dataset", "sentence-transformers/natural-questions", {"data/train.parquet": asked(150)})
    squad = {f"data/{split}.parquet": answered(count, count) for split, count in (("train", 150), ("validation", 60))}
    server.add("dataset", "rajpurkar/squad_v2", squad)
    server.add("model", "HuggingFaceTB/SmolLM2-1.7B-Instruct", tiny_chat_model)
    readme = configs(**{"everyday-conversations": {"train": "data/train.parquet", "test": "data/test.parquet"}})
    files = {"data/train.parquet": talks(90, 0), "data/test.parquet": talks(30, 3)}
    server.add("dataset", "HuggingFaceTB/smoltalk", {"README.md": readme, **files})
    server.add("model", "google-t5/t5-small", tiny_seq2seq("t5", tiny_chat_model, tmp_path_factory.mktemp("t5")))
    readme = configs(**{"3.0.0": {split: f"data/{split}.parquet" for split in ("train", "validation", "test")}})
    files = {f"data/{split}.parquet": news(30, seed) for seed, split in enumerate(("train", "validation", "test"))}
    server.add("dataset", "abisee/cnn_dailymail", {"README.md": readme, **files})
    yield server
    server.close()


@pytest.fixture(scope="module")
def libraries(hub: Hub) -> Iterator[Warm]:
    """Those that ask the double."""
    waiting = Warm({**os.environ, **hub.environment()})
    yield waiting
    waiting.close()


class Kit:
    """`kit` in a process and a folder of its own, with the double in the place of the Hub."""

    def __init__(self, hub: Hub, libraries: Warm, folder: Path):
        self.hub, self.libraries, self.folder = hub, libraries, folder

    def python(self, *words: str, token: str | None = None, **more: str) -> subprocess.CompletedProcess[str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        own = {"PYTHONPATH": str(REPOSITORY), "KIT_CACHE": str(self.folder / "cache")}
        environment = {**inherited, **self.hub.environment(token), **own, **more}
        if not more:
            return self.libraries.run(*words, cwd=self.folder, env=environment)
        command = [sys.executable, *words]  # what `more` says is read as the libraries are imported
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=300
        )

    def __call__(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return self.python("-m", "common.cli", *arguments, **options)

    def train(self, *arguments: str, project: str = "text_classification", **more: Any) -> Run:
        """Three steps; the run."""
        quick = ("--max_steps", "3", "--precision", "fp32", "--run_name", "hub")
        done = self("train", project, *quick, *arguments, **more)
        assert done.returncode == 0, done.stdout + done.stderr
        return Run(self.folder / "runs" / project / "hub")

    def refused(self, *arguments: str, **more: Any) -> str:
        """The sentence of a refusal, after which nothing is left."""
        done = self("train", "text_classification", "--max_steps", "3", *arguments, **more)
        assert done.returncode == 2, done.stdout + done.stderr
        *before, sentence = done.stderr.strip().splitlines()  # the libraries may say that they try again
        assert sentence.startswith("error: ") and "Traceback" not in done.stderr, done.stderr
        assert not any(line.startswith("error: ") for line in before)
        assert not (self.folder / "runs").exists()
        return sentence


@pytest.fixture
def kit(hub: Hub, libraries: Warm, tmp_path: Path) -> Kit:
    return Kit(hub, libraries, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("project", sorted(file.parent.name for file in REPOSITORY.glob("projects/*/hub.yaml")))
def test_every_hub_yaml_trains(kit: Kit, project: str) -> None:
    config = str(REPOSITORY / "projects" / project / "hub.yaml")
    run = kit.train("--config", config, project=project)
    manifest, results = read_json(run.manifest), read_json(run.results)
    model = kit.hub.repositories["model", manifest["config"]["model"]]
    data = kit.hub.repositories["dataset", manifest["config"]["dataset"]]
    assert manifest["model"]["reference"] == f"{manifest['config']['model']}@{model.branches['main']}"
    part = f", {name}" if (name := manifest["config"]["dataset_config"]) else ""
    assert manifest["data"]["reference"] == f"{manifest['config']['dataset']}@{data.branches['main']}{part}"
    assert results["examples"] > 20


def own(*arguments: str) -> tuple[str, ...]:
    return ("--model", MODEL, "--dataset", DATASET, *arguments)


@pytest.mark.slow
def test_revisions_are_looked_up_recorded_and_kept_to(kit: Kit, tiny_model: Path) -> None:
    """A branch, a commit, and the newest, which are three commits of one model; the newest one of the data set."""
    model = kit.hub.add("model", "someone/moving", tiny_model)
    first, files = model.branches["main"], model.newest
    old = model.commit({**files, "README.md": b"old"}, "v1")
    newest = model.commit({**files, "README.md": b"new"})
    arguments = ("--model", "someone/moving", "--dataset", DATASET)
    found = {}
    for name, revision in (("branch", ["--revision", "v1"]), ("commit", ["--revision", first]), ("none", [])):
        run = kit.train(*arguments, *revision, "--run_name", name)
        found[name] = read_json(run.folder.with_name(name) / "manifest.json")["model"]["reference"]
    assert found == {
        "branch": f"someone/moving@{old}",
        "commit": f"someone/moving@{first}",
        "none": f"someone/moving@{newest}",
    }


@pytest.mark.slow
def test_what_was_downloaded_is_enough_without_a_network(kit: Kit) -> None:
    shas = [kit.hub.repositories[key].branches["main"] for key in (("model", MODEL), ("dataset", DATASET))]
    pinned = ("--revision", shas[0], "--dataset_revision", shas[1])
    kit.train(*own(*pinned))
    run = kit.train(*own(*pinned), "--run_name", "again", HF_HUB_OFFLINE="1")
    assert (run.folder.with_name("again") / "results.json").exists()


@pytest.mark.slow
def test_a_run_is_measured_again_with_the_commits_that_it_was_made_with(kit: Kit, tiny_model: Path) -> None:
    """Model and data set have newer commits by now, which nobody asks for."""
    model = kit.hub.add("model", "someone/growing", tiny_model)
    rows = kit.hub.add("dataset", "someone/growing-rows", {"data/train-00000-of-00001.parquet": texts(120)})
    run = kit.train("--model", "someone/growing", "--dataset", "someone/growing-rows")
    before = read_json(run.manifest)
    model.commit({**model.newest, "README.md": b"new"})
    rows.commit({"data/train-00000-of-00001.parquet": texts(90, 7)})
    kit.hub.asked.clear()
    done = kit("evaluate", str(run.folder))
    assert done.returncode == 0, done.stdout + done.stderr
    after = read_json(run.manifest)
    assert (after["model"], after["data"]) == (before["model"], before["data"])
    newest = (model.branches["main"], rows.branches["main"])
    unpinned = {"GET /api/models/someone/growing", "GET /api/datasets/someone/growing-rows"}
    assert kit.hub.asked and not unpinned & set(kit.hub.asked)
    assert not [asked for asked in kit.hub.asked if any(sha in asked for sha in newest)]


@pytest.mark.slow
def test_a_data_set_of_several_configurations_asks_for_one(kit: Kit) -> None:
    files = {"en/train.parquet": texts(120), "de/train.parquet": texts(90, 4)}
    readme = configs(en={"train": "en/train.parquet"}, de={"train": "de/train.parquet"})
    kit.hub.add("dataset", "someone/languages", {"README.md": readme, **files})
    arguments = ("--model", MODEL, "--dataset", "someone/languages")
    said = kit.refused(*arguments)
    assert "'en'" in said and "'de'" in said and "name one with --dataset_config" in said
    assert "'fr' not found" in kit.refused(*arguments, "--dataset_config", "fr")
    run = kit.train(*arguments, "--dataset_config", "de")
    manifest = read_json(run.manifest)
    assert sum(manifest["data"]["rows"].values()) == 90
    assert manifest["data"]["reference"].startswith("someone/languages@") and "de" in manifest["data"]["reference"]
    assert "- someone/languages" in run.card.read_text(), "the Hub's name of the data set is in the card"


@pytest.mark.slow
def test_hidden_test_labels_are_no_test_set(kit: Kit) -> None:
    kit.hub.add("dataset", "someone/contest", {"train.parquet": texts(120), "test.parquet": texts(40, 7, hidden=True)})
    run = kit.train("--model", MODEL, "--dataset", "someone/contest")
    manifest = read_json(run.manifest)
    assert "no row has a label" in " ".join(finding["text"] for finding in manifest["data"]["findings"])
    assert sum(manifest["data"]["rows"].values()) == 120


@pytest.mark.slow
def test_a_gated_model_and_data_set_need_a_token(kit: Kit, tiny_model: Path) -> None:
    kit.hub.add("model", "someone/gated", tiny_model, gated=True)
    kit.hub.add("dataset", "someone/gated", {"train.parquet": texts(120)}, gated=True)
    for arguments in (
        ("--model", "someone/gated", "--dataset", DATASET),
        ("--model", MODEL, "--dataset", "someone/gated"),
    ):
        said = kit.refused(*arguments)
        assert "it is gated: ask for access on its page of the Hub, then run `hf auth login`" in said
    kit.train("--model", "someone/gated", "--dataset", "someone/gated", token=TOKEN)


@pytest.mark.slow
def test_a_renamed_repository_is_found(kit: Kit) -> None:
    kit.hub.moved["model", "someone/old-name"] = MODEL
    kit.train("--model", "someone/old-name", "--dataset", DATASET)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (own("--revision", "master"), "it has no revision master: give the commit or the branch"),
        (own("--dataset_revision", "master"), "it has no revision master: give the commit or the branch"),
        (own("--revision", "0" * 40), f"it has no revision {'0' * 40}"),
        (("--model", "someone/nothing", "--dataset", DATASET), "there is none of this id, or it is private"),
        (("--model", MODEL, "--dataset", "someone/nothing"), "there is none of this id, or it is private"),
        (("--model", "some one/x", "--dataset", DATASET), "there is none of this id"),
    ],
)
def test_what_is_not_there_is_said(kit: Kit, arguments: tuple[str, ...], sentence: str) -> None:
    assert sentence in kit.refused(*arguments)


@pytest.mark.slow
def test_a_download_that_breaks_off_is_said_and_goes_on_the_next_time(kit: Kit, tiny_model: Path) -> None:
    model = kit.hub.add("model", "someone/broken", tiny_model, breaks_off=True)
    arguments = ("--model", "someone/broken", "--dataset", DATASET)
    assert "the Hub cannot be reached, or broke off" in kit.refused(*arguments)
    model.breaks_off = False
    kit.train(*arguments)


@pytest.mark.slow
def test_no_network_is_said(kit: Kit) -> None:
    nothing = {"HF_HOME": str(kit.folder / "home")}
    assert "the Hub cannot be reached" in kit.refused(*own(), **nothing, HF_ENDPOINT="http://127.0.0.1:9")
    offline = kit.refused(*own(), **nothing, HF_HUB_OFFLINE="1")
    assert "HF_HUB_OFFLINE is set" in offline and "without a network give --model starter:minilm-l6" in offline


@pytest.fixture
def publisher(finished_run: Run, kit: Kit) -> Kit:
    """A folder with a finished run, `run`."""
    shutil.copytree(finished_run.folder, kit.folder / "run")
    return kit


def head_of(kit: Kit, kind: str, name: str) -> dict[str, bytes]:
    return kit.hub.repositories[kind, name].newest


@pytest.mark.slow
def test_a_model_is_pushed_and_pushed_again_and_answers_from_the_hub(publisher: Kit) -> None:
    first = publisher("push", "run", "me/model", token=TOKEN)
    assert first.returncode == 0, first.stderr
    assert first.stdout.strip().endswith("/me/model")
    files = head_of(publisher, "model", "me/model")
    measured = publisher.folder / "run/model/model.safetensors"
    assert files["model.safetensors"] == measured.read_bytes()
    assert {"config.json", "tokenizer.json", "kit.json", "README.md", "results.json", "manifest.json"} <= files.keys()
    assert files["picture.png"] == (publisher.folder / "run/picture.png").read_bytes()
    card = files["README.md"].decode()
    assert card.startswith("---\n") and 'model="me/model"' in card and 'model="model"' not in card
    assert "thumbnail: https://huggingface.co/me/model/resolve/main/picture.png" in card
    assert str(publisher.folder) not in card and "/tmp/" not in files["manifest.json"].decode()
    manifest = read_json(publisher.folder / "run/manifest.json")
    assert not [name for name in files if name.startswith(".eval_results/")], "its rows are no data set of the Hub"
    manifest["config"]["dataset"] = manifest["data"]["reference"] = "someone/sounds"
    write_json(publisher.folder / "run/manifest.json", manifest)
    again = publisher("push", "run", "me/model", token=TOKEN)
    assert again.returncode == 0, again.stderr
    (measured,) = (name for name in head_of(publisher, "model", "me/model") if name.startswith(".eval_results/"))
    assert b"id: someone/sounds" in head_of(publisher, "model", "me/model")[measured]
    asked = (
        "from transformers import pipeline; "
        "print(pipeline('text-classification', model='me/model')('the drum and the choir')[0]['label'])"
    )
    answered = publisher.python("-c", asked)
    assert answered.stdout.strip() == "music", answered.stderr


@pytest.mark.slow
def test_a_space_is_pushed_and_what_it_no_longer_has_is_removed(publisher: Kit) -> None:
    space = ("space", "run", "out", "--push", "me/space")
    first = publisher(*space, token=TOKEN)
    assert first.returncode == 0, first.stderr
    repository = publisher.hub.repositories["space", "me/space"]
    files = repository.newest
    assert {"app.py", "README.md", "requirements.txt", "run/results.json", "common/predictor.py"} <= files.keys()
    assert ".written.json" not in files
    repository.commit({**files, "common/old_module.py": b"", "my-notes.txt": b"mine"})
    again = publisher(*space, token=TOKEN)
    assert again.returncode == 0, again.stderr
    files = repository.newest
    assert "common/old_module.py" not in files and files["my-notes.txt"] == b"mine"


@pytest.mark.slow
def test_without_a_token_nothing_is_left_and_the_next_try_succeeds(publisher: Kit) -> None:
    for arguments in (("push", "run", "me/second"), ("space", "run", "out", "--push", "me/second")):
        before = sorted(publisher.folder.iterdir())
        refused = publisher(*arguments)
        assert refused.returncode == 2 and "there is no token to upload with" in refused.stderr
        assert sorted(publisher.folder.iterdir()) == before
        done = publisher(*arguments, token=TOKEN)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_what_the_hub_does_not_take_is_said_and_tried_again(publisher: Kit) -> None:
    for token, name in (("hf_" + "wrong" * 7, "me/third"), (TOKEN, "somebody/else")):
        for arguments in (("push", "run", name), ("space", "run", "out", "--push", name)):
            refused = publisher(*arguments, token=token)
            assert refused.returncode == 2 and f"the Hub did not take {name}" in refused.stderr
            assert "Traceback" not in refused.stderr and len(refused.stderr.strip().splitlines()) == 1
    assert publisher("space", "run", "out", "--push", "me/third", token=TOKEN).returncode == 0
