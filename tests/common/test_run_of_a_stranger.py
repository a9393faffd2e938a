"""A run folder from somebody else: nothing outside of it is read, published, or written over."""

import base64
import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import cli
from common.config import Config
from common.predictor import Predictor, kept_baseline
from common.reporting.card import write_pages
from common.reporting.publish import push_model, write_model_repository
from common.reporting.readme import keep_results
from common.reporting.report import evidence
from common.reporting.space import write_space
from common.run import Run, input_name, project_of
from common.system.errors import UserError
from common.system.files import read_json, sha256, write_json
from common.verify import verify

SECRET = "-----BEGIN PRIVATE KEY-----"


@pytest.fixture
def run(finished_run: Run, tmp_path: Path) -> Run:
    """A copy of a finished run, beside a file that is none of its business."""
    shutil.copytree(finished_run.folder, tmp_path / "received/run")
    (tmp_path / "victim").write_text(SECRET)
    return Run(tmp_path / "received/run")


def victim(run: Run) -> Path:
    return run.folder.parents[1] / "victim"


def predict(run: Run) -> None:
    Predictor.load(run.folder).task.load_baseline(run.baseline)


def space(run: Run) -> None:
    write_space(run.folder, run.folder.parents[1] / "out/space")


def push(run: Run) -> None:
    target = run.folder.parents[1] / "out/model"
    target.mkdir(parents=True, exist_ok=True)
    write_model_repository(run, target, "me/model")


def report(run: Run) -> None:
    write_pages(run)


def tab(run: Run) -> None:
    evidence(run)


def train_on(run: Run) -> None:
    run.check_free(Config(train_file="a.csv"))


def correct(run: Run) -> None:
    print(run.corrections)


LINKS: list[tuple[str, Callable[[Run], None]]] = [
    ("report.html", report),
    ("README.md", report),
    ("README.md", space),
    ("README.md", push),
    ("inputs/0123456789abcdef.png", space),
    ("inputs/0123456789abcdef.png", push),
    ("model/key.txt", space),
    ("model/key.txt", push),
    ("model/key.txt", predict),
    ("model/model.safetensors", predict),
    ("baseline/baseline.json", predict),
    ("neighbours/rows.jsonl", predict),
    ("baseline/encoder", space),
    ("results.json", tab),
    ("manifest.json", tab),
    ("config.yaml", predict),
    ("metrics.jsonl", train_on),
    ("checkpoints", train_on),
    ("corrections.jsonl", correct),
]


@pytest.mark.parametrize(("name", "use"), LINKS, ids=[f"{name} {use.__name__}" for name, use in LINKS])
def test_no_link_is_followed(run: Run, name: str, use: Callable[[Run], None]) -> None:
    place = run.folder / name
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(victim(run))
    with pytest.raises(UserError, match="is a link, and none is followed in a run"):
        use(run)
    assert victim(run).read_text() == SECRET
    assert place.is_symlink(), "it was not written over either"
    written = run.folder.parents[1] / "out"
    assert not [file for file in written.rglob("*") if file.is_file() and SECRET in file.read_text(errors="replace")]


@pytest.mark.parametrize(
    "name", ["../../victim", "/etc/hostname", "../received/run/model/config.json", "model/../../x"]
)
@pytest.mark.parametrize("use", [space, push])
def test_the_names_in_the_manifest_are_not_believed(run: Run, name: str, use: Callable[[Run], None]) -> None:
    manifest = read_json(run.manifest)
    manifest["files"][name] = sha256(victim(run))
    write_json(run.manifest, manifest)
    with pytest.raises(UserError, match="is not the file that was measured"):
        use(run)
    assert victim(run).read_text() == SECRET
    assert not (run.folder.parents[1] / "out/space").exists()


def test_a_picture_that_is_a_link_is_not_shown(run: Run) -> None:
    row = {"id": "test:1", "reference": "a", "prediction": "b"}
    write_json(run.results, {**read_json(run.results), "worst_errors": [row]})
    run.inputs.mkdir(exist_ok=True)
    (run.inputs / f"{input_name('test:1')}.png").symlink_to(victim(run))
    with pytest.raises(UserError, match="is a link"):
        run.input("test:1")
    with contextlib.suppress(UserError):
        assert base64.b64encode(SECRET.encode()).decode()[:20] not in evidence(run)


@pytest.mark.parametrize("use", [space, push])
def test_what_was_not_measured_is_not_published(run: Run, use: Callable[[Run], None]) -> None:
    (run.model / "id_ed25519").write_text(SECRET)
    with pytest.raises(UserError, match="holds model/id_ed25519, which does not belong to what was measured"):
        use(run)
    (run.model / "id_ed25519").unlink()
    (run.model / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"model/config.json of .* is not the file that was measured"):
        use(run)


def test_links_are_differences_to_verify(run: Run) -> None:
    (run.model / "key.txt").symlink_to(victim(run))
    checks = {check.name.split(" ")[0]: check.differences for check in verify(run.folder)}
    assert "is a link" in str(checks["files"][0].found) and "is a link" in str(checks["model"][0].found)


PIPES = [("model/pipe", predict), ("manifest.json", space), ("picture.png", push), ("corrections.jsonl", correct)]


@pytest.mark.parametrize(("name", "use"), PIPES, ids=[name for name, _ in PIPES])
def test_a_pipe_in_a_run_is_not_waited_for(run: Run, name: str, use: Callable[[Run], None]) -> None:
    (run.folder / name).unlink(missing_ok=True)
    os.mkfifo(run.folder / name)
    with pytest.raises(UserError, match="is no regular file"):
        use(run)


@pytest.mark.parametrize("name", ["corrections-kept.jsonl", "corrections", ".corrections.jsonl.lock"])
def test_a_review_follows_no_link(run: Run, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run.corrections.write_text('{"text": "a", "label": "b"}\n')
    (run.folder / name).symlink_to(victim(run))
    monkeypatch.setattr("sys.argv", ["kit", "corrections", str(run.folder), "--keep", "1"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2 and victim(run).read_text() == SECRET


def test_the_name_of_a_run_is_no_path_where_it_is_published(run: Run) -> None:
    manifest = read_json(run.manifest)
    manifest["config"]["dataset"], manifest["data"]["reference"] = "me/rows", f"me/rows@{'0' * 40}"
    write_json(run.manifest, manifest)
    write_json(run.results, {**read_json(run.results), "run": str(victim(run))})
    with pytest.raises(UserError, match="which is no name of one"):
        push(run)
    assert not victim(run).with_suffix(".yaml").exists()


@pytest.mark.parametrize("metadata", ["- a", "a: [", "[" * 20_000, "a: !!python/name:os.system"])
def test_metadata_of_a_card_that_are_none_are_said_in_a_sentence(run: Run, metadata: str) -> None:
    run.card.write_text(f"---\n{metadata}\n---\nhello")
    with pytest.raises(UserError, match="begins with metadata that cannot be read"):
        push(run)


@pytest.mark.parametrize("name", ["results.json", "manifest.json"])
@pytest.mark.parametrize("content", ["[]", "{}"])
def test_what_lacks_everything_is_not_published(run: Run, name: str, content: str, monkeypatch: Any) -> None:
    (run.folder / name).write_text(content)
    monkeypatch.setattr("common.reporting.publish.check_upload", lambda name: None)
    for use in (space, lambda one: push_model(one.folder, "me/model"), lambda one: keep_results(one.folder, Path())):
        with pytest.raises(UserError):
            use(run)


FORGED = {
    "an adapter": ("model/adapter_config.json", "{}", "holds an adapter beside the model"),
    "other weights": ("model/config.json", '{"transformers_weights": "adapter_model.bin"}', "names a file of weights"),
    "no kind": ("model/config.json", "[]", "cannot be loaded"),
    "a tokenizer of no kind": ("model/tokenizer.json", "[]", "cannot be loaded"),
    "its settings in words": ("model/tokenizer_config.json", '{"init_inputs": 7}', "cannot be loaded"),
    "half a baseline": ("baseline/baseline.safetensors", "{", "the baseline of .* cannot be loaded"),
}


def test_a_model_without_a_vocabulary_answers_nothing(run: Run) -> None:
    (run.model / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"holds no vocabulary|cannot be loaded"):
        Predictor.load(run.folder)


@pytest.mark.parametrize("forged", FORGED)
def test_a_model_that_other_libraries_cannot_read_is_said_in_a_sentence(run: Run, forged: str) -> None:
    name, content, match = FORGED[forged]
    if name.startswith("baseline"):
        write_json(run.baseline / "baseline.json", {"kind": "words", "classes": ["a", "b"]})
    kept = read_json(run.folder / name) if "transformers_weights" in content else {}
    (run.folder / name).write_text(json.dumps({**kept, **json.loads(content)}) if kept else content)
    with pytest.raises(UserError, match=match):
        kept_baseline(Predictor.load(run.folder).task, run)


def test_a_run_may_itself_be_reached_by_a_link(run: Run) -> None:
    link = run.folder.parents[1] / "linked"
    link.symlink_to(run.folder)
    assert Predictor.load(link).predict(["the drum"])


@pytest.mark.parametrize("project", ["../../evil", "evil\nimport os", "", None, ["a"], "/tmp/evil", "evil/../x"])
def test_results_of_no_project_fill_no_template(run: Run, project: object) -> None:
    """Templates are looked for in the project's folder, and a template can run anything."""
    evil = run.folder.parents[1] / "evil/templates"
    evil.mkdir(parents=True)
    for name in ("report.html.j2", "evidence.html.j2", "card.md.j2"):
        (evil / name).write_text("{{ cycler.__init__.__globals__.os.system('touch ran') }}")
    results = read_json(run.results)
    write_json(run.results, {**results, "project": project})
    for use in (tab, report, space):
        with pytest.raises(UserError, match="which is no name of one"):
            use(run)
    with pytest.raises(UserError):
        project_of({})


@pytest.mark.parametrize(
    "forged",
    [{"portfolio": []}, {"metric_kinds": 7}, {"metrics": "x"}],
    ids=lambda forged: next(iter(forged)),
)
@pytest.mark.parametrize("use", [tab, report])
def test_results_that_lack_what_every_page_has_are_said_in_a_sentence(
    run: Run, forged: dict[str, object], use: Callable[[Run], None]
) -> None:
    write_json(run.results, {**read_json(run.results), **forged})
    with pytest.raises(UserError, match=r"run comes from another version of the kit \(.*`kit evaluate"):
        use(run)


def test_a_manifest_without_a_model_is_said_in_a_sentence(run: Run) -> None:
    run.manifest.write_text("{}")
    with pytest.raises(UserError, match=r"comes from another version of the kit \(KeyError: 'model'\)"):
        Predictor.load(run.folder)


@given(st.lists(st.sampled_from(["a", "..", ".", "", "/", "\\", "b c", "link", "é", "~"]), max_size=6), st.booleans())
def test_a_path_of_a_run_lies_in_it_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str], absolute: bool
) -> None:
    folder = tmp_path_factory.getbasetemp() / "property/run"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "link").is_symlink():
        (folder / "link").symlink_to("..")
    try:
        path = Run(folder).inside("/" * absolute + "/".join(parts))
    except UserError:
        return
    assert path.resolve().is_relative_to(folder.resolve()) and path.resolve() != folder.resolve()


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        '{"settings": ' * 100_000,
        "[]",
        '"kit"',
        '{"project": "text_classification", "settings": []}',
        '{"project": 7, "settings": {}}',
    ],
    ids=["brackets", "deep", "list", "text", "settings", "number"],
)
def test_settings_that_are_none_are_said_in_a_sentence(run: Run, content: str) -> None:
    (run.model / "kit.json").write_text(content)
    with pytest.raises(UserError):
        Predictor.load(run.folder)


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "content",
    [
        BOMB,
        f"slice_columns: &a [*a]\n{BOMB}",
        "slice_columns: " + "[" * 100_000,
        "config: /etc/passwd\n",
        "- a\n",
        "x" * 2_000_000,
    ],
    ids=["alias bomb", "circle", "brackets", "another file", "list", "large"],
)
def test_a_configuration_that_is_none_is_refused_at_once(run: Run, content: str) -> None:
    run.config.write_text(content)
    started = time.perf_counter()
    with pytest.raises(UserError) as refused:
        Predictor.load(run.folder)
    assert "root:" not in str(refused.value) and len(str(refused.value)) < 500
    assert time.perf_counter() - started < 5


def test_json_that_is_too_deep_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("[" * 100_000)
    with pytest.raises(UserError, match="is damaged"):
        read_json(tmp_path / "results.json")
    assert json.loads("[]") == []
