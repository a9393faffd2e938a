"""No folder of this machine's owner stands in what is published, whatever characters it holds."""

import json
import shlex
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.system.private_paths import folders_of, is_path, without_folders, without_folders_in_command
from common.system.source import REPOSITORY

FOLDERS = [
    "/home/Ana Maria Example/Client X (secret)",
    "/srv/Büro & Söhne, GmbH",
    "/data/it's [mine] #1",
    "/mnt/100 % {done};",
    "../Client X",
    "~/Kunden/Nr. 7",
    "data/client",
    "./a/b c",
    '/x/"quoted" name',
    "/tmp/日本 語",
]


@pytest.mark.parametrize("folder", FOLDERS)
def test_known_folders_are_left_out_of_everything(folder: str) -> None:
    train, web, pictures = f"{folder}/my data.csv", f"{folder}/deeper still/web (1).csv", f"{folder}/pictures"
    options = {
        "train_file": train,
        "out_of_domain_files": {"web": web},
        "image_folder": pictures,
        "model": "google/vit",
        "output_dir": "runs",
        "dataset": None,
        "epochs": 3,
    }
    folders = folders_of(options)
    data = ["--train_file", train, f"--image_folder={pictures}", "--out_of_domain_files", json.dumps({"web": web})]
    command = shlex.join(["accelerate", "launch", "projects/film/train.py", *data, "--model", "google/vit"])
    said = {
        "config": options,
        "reference": ", ".join([train, str(Path(web))]),
        "findings": [f"{train}, row 7: an empty text", f"{Path(pictures, 'cat/1.jpg')!r} is no picture"],
        "absolute": str(Path(train).expanduser().absolute()),
    }
    shown = json.dumps(without_folders(said, folders), ensure_ascii=False) + without_folders_in_command(
        command, folders
    )
    for part in ("Client", "Ana", "Büro", "mine", "100 %", "Kunden", "client", "b c", "quoted", "日本", "deeper still"):
        assert part not in shown
    for kept in ("my data.csv", "web (1).csv", "google/vit", "projects/film/train.py", "row 7", "pictures", "1.jpg"):
        assert kept in shown


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.text(st.characters(blacklist_characters="/\0\\", blacklist_categories=("Cs", "Cc")), min_size=3),
        min_size=1,
        max_size=3,
    )
)
def test_any_folder_is_left_out(names: list[str]) -> None:
    names = [f"<{name}>" for name in names]  # parts that occur nowhere else
    train = "/" + "/".join([*names, "rows.csv"])
    folders = folders_of({"train_file": train})
    command = shlex.join(["train.py", "--train_file", train])
    shown = [
        without_folders(f"{train}, row 3: {json.dumps(train)} {train!r}", folders),
        without_folders_in_command(command, folders),
    ]
    assert not [name for name in names for text in shown if name in text]
    assert shown[1] == "train.py --train_file rows.csv"


def test_files_of_the_repository_keep_their_place_and_others_lose_theirs() -> None:
    def command(path: str) -> str:
        return without_folders_in_command(shlex.join(["train.py", "--config", path]), folders_of({}))

    assert command("projects/film/starter.yaml") == "train.py --config projects/film/starter.yaml"
    assert command(f"{REPOSITORY}/projects/film/starter.yaml") == "train.py --config projects/film/starter.yaml"
    assert command("/home/me/Client X/mine.yaml") == command("Client/mine.yaml") == "train.py --config mine.yaml"
    assert without_folders_in_command("train.py --x 'half", []) == "train.py --x 'half"


def test_paths_of_the_machine_are_shortened_in_nested_values() -> None:
    value = {"note": "read /home/me/rows.csv", "files": ["/data/a.csv", 3], "url": "https://a.b/c/d"}
    assert without_folders(value, []) == {"note": "read rows.csv", "files": ["a.csv", 3], "url": "https://a.b/c/d"}


def test_the_home_folder_is_left_out_without_being_named_by_an_option() -> None:
    assert without_folders(f"{Path.home()}/some folder/x.csv", folders_of({})) == "some folder/x.csv"


@pytest.mark.parametrize(("text", "expected"), [("user/name", False), ("/a", True), ("~/a", True), ("a/b/c", True)])
def test_what_looks_like_a_path(text: str, expected: bool) -> None:
    assert is_path(text) is expected and not is_path("https://a.b/c/d")
