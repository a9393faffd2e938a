"""Every form of rows becomes a text with character spans; what is wrong is named with its row or line."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.config import parse
from common.data.splits import Data
from common.data.tables import RowProblem
from common.system.errors import UserError
from common.task.projects import load_task_class
from tests.projects.token_classification.rows import weather_reports

from .conftest import PROJECT

TASK = load_task_class(PROJECT)


def data_of(*options: str) -> Data:
    return TASK(parse(TASK.config_class, list(options))).data()


def entities_module() -> Any:
    import importlib

    return importlib.import_module(f"projects.{PROJECT}.entities")


# "John Smith" and "Paris" in each scheme; two neighbours of one type where the scheme can tell them apart.
SCHEMES = {
    "IOB2": ["B-PER", "I-PER", "O", "B-LOC", "B-LOC"],
    "IOB1": ["I-PER", "I-PER", "O", "I-LOC", "B-LOC"],
    "BIOES": ["B-PER", "E-PER", "O", "S-LOC", "S-LOC"],
    "BILOU": ["B-PER", "L-PER", "O", "U-LOC", "U-LOC"],
}
TOKENS = ["John", "Smith", "saw", "Paris", "Rome"]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_gives_the_same_entities(scheme: str) -> None:
    made = entities_module().from_tags(TOKENS, SCHEMES[scheme])
    found = [(made["text"][e["start"] : e["end"]], e["label"]) for e in made["reference"]]
    assert found == [("John Smith", "PER"), ("Paris", "LOC"), ("Rome", "LOC")]


def test_labels_alone_are_runs() -> None:
    made = entities_module().from_tags(TOKENS, ["PER", "PER", "O", "geo-loc", "geo-loc"])
    found = [(made["text"][e["start"] : e["end"]], e["label"]) for e in made["reference"]]
    assert found == [("John Smith", "PER"), ("Paris Rome", "geo-loc")]


@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.sampled_from(["", "a", "b"]), st.text("xyzÄß🙂", min_size=1, max_size=4)),
        min_size=1,
        max_size=8,
    )
)
def test_tags_of_entities_give_these_entities_back(parts: list[tuple[int, str, str]]) -> None:
    """IOB2 of any entities, neighbours included."""
    tokens, tags, expected, position = [], [], [], 0
    for length, label, word in parts:
        if label:
            expected.append((position, position + length * (len(word) + 1) - 1, label))
        for number in range(length):
            tokens.append(word)
            tags.append("O" if not label else f"{'I' if number else 'B'}-{label}")
            position += len(word) + 1
    made = entities_module().from_tags(tokens, tags)
    assert [(e["start"], e["end"], e["label"]) for e in made["reference"]] == expected
    assert made["text"] == " ".join(tokens)


@pytest.mark.parametrize(
    ("tokens", "tags", "said"),
    [
        (["a", "b"], ["O"], "more tokens than tags"),
        ("a b", ["O"], "two lists"),
        (["a"], ["B-"], "without a label"),
        (["a"], ["B"], "without a label"),
        (["a"], [""], "empty tag"),
        (["a"], ["\u200b"], "empty tag"),
        (["a b"], ["O"], "blank"),
        ([""], ["O"], "empty token"),
    ],
)
def test_bad_tags_are_problems_of_their_row(tokens: Any, tags: Any, said: str) -> None:
    with pytest.raises(RowProblem, match=said):
        entities_module().from_tags(tokens, tags)


@pytest.mark.parametrize(
    ("spans", "said"),
    [
        ([{"start": 0, "end": 99, "label": "x"}], "outside of its text"),
        ([{"start": 2, "end": 2, "label": "x"}], "empty"),
        ([{"start": -1, "end": 2, "label": "x"}], "outside"),
        ([{"start": 0, "end": 3, "label": "x"}, {"start": 2, "end": 5, "label": "y"}], "overlap"),
        ([{"start": 0, "end": 3}], "without start, end and label"),
        ([{"start": 0, "end": 3, "label": ""}], "empty label"),
        ([{"start": "0", "end": 3, "label": "x"}], "no whole number"),
        ([{"start": 3, "end": 6, "label": "x"}], "blank"),
        ("no json", "no list"),
        ("[" * 100_000, "no list"),
        ([{"start": 0, "end": 3, "label": "\u200b"}], "empty label"),
    ],
)
def test_bad_spans_are_problems_of_their_row(spans: Any, said: str) -> None:
    with pytest.raises(RowProblem, match=said):
        entities_module().from_spans("the rain is here", spans)


def test_every_bad_row_is_named_before_anything_is_trained(tmp_path: Path) -> None:
    rows = weather_reports(60)
    rows[6]["spans"] = [{"start": 0, "end": 999, "label": "weather"}]
    rows[11]["spans"] = [{"start": 0, "end": 3, "label": "food"}, {"start": 1, "end": 2, "label": "food"}]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with pytest.raises(UserError, match=r"row 7: .*outside[\s\S]*row 12: .*overlap"):
        data_of("--train_file", str(file))


def write_conll(path: Path, rows: list[dict[str, Any]], columns: int = 2, line_end: str = "\n") -> Path:
    lines = ["-DOCSTART- " + "O " * (columns - 1), ""]
    for row in rows:
        position = 0
        for word in row["text"].split(" "):
            tag = "O"
            for span in row["spans"]:
                if span["start"] <= position < span["end"]:
                    tag = ("B-" if position == span["start"] else "I-") + span["label"]
            lines.append(" ".join([word, *["NN"] * (columns - 2), tag]))
            position += len(word) + 1
        lines.append("")
    path.write_bytes(line_end.join(lines).encode())
    return path


@pytest.mark.parametrize(("columns", "line_end"), [(2, "\n"), (4, "\r\n")])
def test_conll_json_and_parquet_give_the_same_rows(tmp_path: Path, columns: int, line_end: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    rows = weather_reports(60)
    by_spans = tmp_path / "spans.parquet"
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), by_spans)
    one = data_of("--train_file", str(by_spans))
    other = data_of("--train_file", str(write_conll(tmp_path / "rows.conll", rows, columns, line_end)))
    for split in ("train", "validation", "test"):
        assert one.splits[split]["text"][:] == other.splits[split]["text"][:]
        assert one.splits[split]["reference"][:] == other.splits[split]["reference"][:]
    assert sum(map(len, one.splits.values())) == 60


def test_tokens_with_tags_in_json(tmp_path: Path) -> None:
    rows = [{"tokens": [*TOKENS, str(n)], "tags": [*SCHEMES["IOB2"], "O"]} for n in range(40)]
    file = tmp_path / "rows.json"
    file.write_text(json.dumps(rows), encoding="utf-8")
    data = data_of("--train_file", str(file))
    assert [e["label"] for e in data.splits["train"][0]["reference"]] == ["PER", "LOC", "LOC"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a O\nb\n", "line 2: 1 columns, not 2 like the lines before"),
        ("alone\n", "line 1: 1 columns, not at least two"),
        ("\n\n", "holds no sentence"),
        ("a O\nb\0 O\n", "line 2: a NUL character"),
        ("a\tO\nb\tO\tO\n", "line 2: 3 columns"),
    ],
)
def test_what_is_no_conll_is_named_with_its_line(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "rows.conll"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=said):
        data_of("--train_file", str(file))


def test_a_file_in_another_encoding_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "rows.conll"
    file.write_bytes("a O\n\nZürich B-LOC\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"line 3: byte 0xfc is no UTF-8"):
        data_of("--train_file", str(file))


def test_a_number_sign_can_be_a_token_and_begin_a_comment(tmp_path: Path) -> None:
    rows = weather_reports(40)
    file = write_conll(tmp_path / "rows.conll", rows)
    text = file.read_text(encoding="utf-8")
    file.write_text("# sent_id = 1 of 40\n" + text + "\n# O\nrain B-weather\n", encoding="utf-8")
    texts = {text for split in data_of("--train_file", str(file)).splits.values() for text in split["text"]}
    assert "# rain" in texts and not any("sent_id" in text for text in texts)


def test_types_that_training_never_sees_are_an_error(tmp_path: Path) -> None:
    train, test = tmp_path / "train.jsonl", tmp_path / "test.jsonl"
    train.write_text("".join(json.dumps(row) + "\n" for row in weather_reports(60)), encoding="utf-8")
    odd = {"text": "a drum is here", "spans": [{"start": 2, "end": 6, "label": "music"}]}
    test.write_text("".join(json.dumps(row) + "\n" for row in [*weather_reports(20, seed=5), odd]), encoding="utf-8")
    with pytest.raises(UserError, match=r"test.jsonl, row 21: types that no training row has \(music\)"):
        data_of("--train_file", str(train), "--test_file", str(test))


def test_rows_without_any_entity_cannot_be_trained_on(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({**row, "spans": []}) + "\n" for row in weather_reports(40)), encoding="utf-8")
    with pytest.raises(UserError, match="no row has an entity"):
        data_of("--train_file", str(file))


def test_wnut17_is_read_whole(assets: Path) -> None:
    folder = assets / "data/wnut17"
    files = {"train": "wnut17train.conll", "validation": "emerging.dev.conll", "test": "emerging.test.annotated"}
    options = [part for split, name in files.items() for part in (f"--{split}_file", str(folder / name))]
    data = data_of(*options)
    entities = {split: sum(map(len, rows["reference"])) for split, rows in data.splits.items()}
    assert {split: len(rows) for split, rows in data.splits.items()} == {
        "train": 3394,
        "validation": 1009,
        "test": 1287,
    }
    assert entities == {"train": 1975, "validation": 836, "test": 1079}


def test_every_line_of_a_conll_file_is_accounted_for(tmp_path: Path) -> None:
    file = write_conll(tmp_path / "rows.conll", weather_reports(60), columns=4)
    content = "# sent_id = 1 of 60\n\n" + file.read_text(encoding="utf-8")
    file.write_text(content, encoding="utf-8")
    data = data_of("--train_file", str(file))
    (tally,) = data.tallies
    entities = sum(len(row) for rows in data.splits.values() for row in rows["reference"])
    assert tally.rows == 60 and tally.counted == {"entities": entities, "types": 2}
    assert tally.rows + sum(tally.no_rows.values()) == len(content.splitlines())
    assert tally.no_rows["lines", "comments"] == 1 and tally.no_rows["lines", "between documents"] == 1


def test_a_zipped_conll_file_gives_the_same_rows(tmp_path: Path) -> None:
    file = write_conll(tmp_path / "rows.conll", weather_reports(60))
    zipped = tmp_path / "rows.conll.gz"
    zipped.write_bytes(gzip.compress(file.read_bytes()))
    one, other = (data_of("--train_file", str(path)) for path in (file, zipped))
    assert one.fingerprint == other.fingerprint
    zipped.write_bytes(gzip.compress(file.read_bytes())[:-40])
    with pytest.raises(UserError, match="the file cannot be read on"):
        data_of("--train_file", str(zipped))


@pytest.mark.parametrize("columns", [2, 3, 4])
def test_a_number_sign_is_a_token_where_its_tag_says_so(tmp_path: Path, columns: int) -> None:
    rows = weather_reports(40)
    rows[3] = {"text": "# rain", "spans": [{"start": 0, "end": 6, "label": "weather"}]}
    rows[5] = {"text": "issue # 7", "spans": []}
    file = write_conll(tmp_path / "rows.conll", rows, columns)
    comment = "# " + " ".join(["word"] * (columns - 1)) + "\n"
    file.write_text(file.read_text(encoding="utf-8").replace("\n\n", f"\n\n{comment}", 5), encoding="utf-8")
    data = data_of("--train_file", str(file))
    texts = {text for split in data.splits.values() for text in split["text"]}
    assert texts == {row["text"] for row in rows}
    assert data.tallies[0].no_rows["lines", "comments"] == 5 and data.tallies[0].counted["types"] == 2


def test_types_that_look_the_same_are_an_error(tmp_path: Path) -> None:
    rows = weather_reports(60)
    for number, span in enumerate(span for row in rows for span in row["spans"]):
        span["label"] += "\u200b" if number % 7 == 0 else ""
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with pytest.raises(UserError, match=r"types that look the same \('weather', 'weather\\u200b'\): write them alike"):
        data_of("--train_file", str(file))


def test_a_type_of_the_test_rows_is_told_from_the_one_that_it_resembles(tmp_path: Path) -> None:
    train, test = tmp_path / "train.jsonl", tmp_path / "test.jsonl"
    train.write_text("".join(json.dumps(row) + "\n" for row in weather_reports(60)), encoding="utf-8")
    odd = {"text": "the sun is here", "spans": [{"start": 4, "end": 7, "label": "Weather"}]}
    test.write_text("".join(json.dumps(row) + "\n" for row in [*weather_reports(20, seed=5), odd]), encoding="utf-8")
    with pytest.raises(UserError, match=r"row 21: types that no .* has \('Weather', but 'weather' is one\): write"):
        data_of("--train_file", str(train), "--test_file", str(test))


@pytest.mark.parametrize("with_tags", [False, True])
def test_columns_that_are_not_needed_are_not_read(tmp_path: Path, with_tags: bool) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    rows = weather_reports(60)
    if with_tags:
        rows = [{"tokens": row["text"].split(), "tags": ["B-x", *["O"] * (row["text"].count(" "))]} for row in rows]
    table = pa.Table.from_pylist(rows).append_column("day", pa.array([2_932_897] * 60, pa.date32()))
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
    assert sum(map(len, data_of("--train_file", str(tmp_path / "rows.parquet")).splits.values())) == 60


WORDS = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=5)
SENTENCES = st.lists(
    st.lists(st.tuples(WORDS, st.sampled_from(["O", "B-x", "I-x", "B-y"])), min_size=1, max_size=6),
    min_size=12,
    max_size=25,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SENTENCES, st.sampled_from(["\n", "\r\n", "\r"]), st.sampled_from([" ", "\t"]), st.booleans())
def test_any_conll_file_is_read_whole(
    tmp_path: Path, sentences: list[list[tuple[str, str]]], line_end: str, separator: str, bom: bool
) -> None:
    sentences = [[(f"start{number}", "B-x"), *words] for number, words in enumerate(sentences)]
    lines = [line for words in sentences for line in (*(separator.join(pair) for pair in words), "")]
    file = tmp_path / "rows.conll"
    file.write_bytes((("\ufeff" if bom else "") + line_end.join(lines)).encode())
    data = data_of("--train_file", str(file))
    texts = {row["id"]: row["text"] for rows in data.splits.values() for row in rows}
    assert [texts[f"train:{number}"] for number in range(1, len(texts) + 1)] == [
        " ".join(word for word, _ in words) for words in sentences
    ]
    assert data.tallies[0].rows + sum(data.tallies[0].no_rows.values()) == len(lines) - 1
