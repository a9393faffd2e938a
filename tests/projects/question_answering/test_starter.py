"""Questions about docstrings: what is read off a docstring, and that no side of the split knows the other's texts."""

import importlib
import io
import json
import zipfile
from typing import Any

import pytest

from .conftest import PROJECT

DOCSTRING = """Scale the values.

Longer prose that no question is about.

Parameters
----------
x, y : array_like, optional
    The values to scale. They
    are copied.
axis : int, default=-1
    The axis along which to work, i.e. the last one. A second sentence.
mode : {'a', 'b'}, optional
    How to treat edges. Default is 'a'.
*args
    Further ones.

Returns
-------
out : ndarray
    The scaled values.
n : int
    How many there are.

Raises
------
ValueError
    If there are no values.

Notes
-----
Left out.
"""


def module(name: str) -> Any:
    return importlib.import_module(f"projects.{PROJECT}.{name}")


def test_a_docstring_gives_its_answers() -> None:
    parameters = module("parameters")
    function = parameters.parsed("lib", "Scaler.scale", DOCSTRING)
    assert "Longer prose" not in function.context and "Left out" not in function.context
    found = {
        (kind, name): [function.context[start:end] for start, end in spans]
        for kind, name, spans in parameters._answerable(function, set())
    }
    assert found == {
        ("meaning", "x"): ["The values to scale"],
        ("meaning", "y"): ["The values to scale"],
        ("type", "x"): ["array_like"],
        ("type", "y"): ["array_like"],
        ("meaning", "axis"): ["The axis along which to work, i.e. the last one"],
        ("type", "axis"): ["int"],
        ("default", "axis"): ["-1"],
        ("meaning", "mode"): ["How to treat edges"],
        ("type", "mode"): ["{'a', 'b'}"],
        ("default", "mode"): ["'a'"],
        ("returns", ""): ["The scaled values", "How many there are"],
        ("raises", "ValueError"): ["If there are no values"],
    }
    asked = {parameters._same("The values to scale")}
    assert ("meaning", "x") not in {(kind, name) for kind, name, _ in parameters._answerable(function, asked)}


def test_docstrings_with_something_to_fill_in_are_left_out() -> None:
    parsed = module("parameters").parsed
    assert parsed("lib", "f", DOCSTRING.replace("axis along", "%(what)s along")) is None
    assert parsed("lib", "f", DOCSTRING.replace("Parameters", "Attributes")) is None


def test_the_starter_asks_what_stands_there_and_keeps_its_sides_apart() -> None:
    parameters = module("parameters")
    rows = parameters.parameter_questions()
    described: dict[str, set[str]] = {}
    for split, of_split in rows.items():
        assert len(of_split) > 400
        for row in of_split:
            assert all(row["context"][one["start"] :].startswith(one["text"]) for one in row["answers"])
        asked = [row for row in of_split if row["slice question"] in ("meaning", "returns", "raises")]
        described[split] = {parameters._same(one["text"]) for row in asked for one in row["answers"]}
        unanswerable = sum(not row["answers"] for row in of_split) / len(of_split)
        assert 0.15 < unanswerable < 0.4
    assert not described["train"] & described["test"] and not described["validation"] & described["test"]
    groups = {split: {row["group"] for row in of_split} for split, of_split in rows.items()}
    assert not groups["train"] & groups["test"] and not groups["train"] & groups["validation"]
    assert {row["slice wording"] for row in rows["train"]} == {"as in training"}
    assert {row["slice wording"] for row in rows["test"]} == {"as in training", "new"}
    lacking = [row for row in rows["train"] if not row["answers"] and row["slice question"] == "meaning"]
    words = [set(parameters.re.findall(r"\w+", row["question"])) - set("abcd") for row in lacking]
    assert len(lacking) > 50 and all(words)


def wheel(quac: list[dict[str, str]], disfl: list[dict[str, str]]) -> bytes:
    people = module("people")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, records in ((people.QUAC, quac), (people.DISFL_QA, disfl)):
            archive.writestr(name, "\n".join(map(json.dumps, records)))
    return content.getvalue()


def test_people_are_read_from_the_wheel_without_its_code() -> None:
    people = module("people")
    quac = {
        "passage": "She sang in 1983, and left. ",
        "question": "question1: when?\nquestion2: why?\nquestion3: how?",
        "answer": "possible answers for question1:\nin 1983, in 1983, and in 1983\npossible answers for question2:\n"
        "CANNOTANSWER CANNOTANSWER\npossible answers for question3:\nnowhere in it",
    }
    disfl = [
        {"passage": "Oil is dear .", "question": "what is cheap no dear ?", "answer": "Oil"},
        {"passage": "Oil is dear .", "question": "who ?", "answer": "unknown"},
        {"passage": "Oil is dear .", "question": "what ?", "answer": "gas"},
    ]
    content = wheel([quac], disfl)
    asked = [(row["question"], [one["text"] for one in row["answers"]]) for row in people.quac(content, False)]
    assert asked == [("when?", ["in 1983"]), ("why?", [])]
    assert [row["question"] for row in people.quac(content)] == ["when?"]
    assert [(row["question"], row["answers"]) for row in people.disfl_qa(content)] == [
        ("what is cheap no dear ?", ["Oil"]),
        ("who ?", []),
    ]
    splits = people.split_by_passage(wheel([{**quac, "passage": f"{n} in 1983"} for n in range(200)], disfl))
    contexts = {split: {row["context"] for row in rows} for split, rows in splits.items()}
    assert all(contexts.values()) and not contexts["train"] & contexts["test"]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What does mode do?", "How to treat edges"),
        ("What type is `axis`?", "int"),
        ("What is the default of axis?", "-1"),
        ("What does scale return?", "The scaled values"),
        ("When is ValueError raised?", "If there are no values"),
        ("What does order do?", ""),
    ],
)
def test_the_rule_reads_docstrings(question: str, answer: str) -> None:
    context = module("parameters").parsed("lib", "scale", DOCSTRING).context
    assert module("baselines").Lines().predict([{"question": question, "context": context}])[0].value == answer


@pytest.mark.parametrize(
    ("kind", "name", "answer"),
    [
        ("meaning", "mode", "How to treat edges"),
        ("type", "axis", "int"),
        ("default", "axis", "-1"),
        ("returns", "", "The scaled values"),
        ("raises", "ValueError", "If there are no values"),
    ],
)
def test_the_rule_knows_the_wordings_of_the_training_questions(kind: str, name: str, answer: str) -> None:
    context, rule = module("parameters").parsed("lib", "scale", DOCSTRING).context, module("baselines").Lines()
    for wording in module("parameters").WORDINGS[kind]:
        question = wording.format(name=name, function="scale")
        assert rule.predict([{"question": question, "context": context}])[0].value == answer, wording
