"""A model of bytes: its probabilities add up, and it knows what it has seen."""

import math

import pytest

from common.models.ngram import END, ByteModel


@pytest.mark.parametrize("context", [(), (97,), (97, 98), (1, 2, 3, 4)])
def test_probabilities_add_up(context: tuple[int, ...]) -> None:
    model = ByteModel(["abcab", "é"], order=5)
    assert sum(model._probability(context, symbol) for symbol in range(END + 1)) == pytest.approx(1)


def test_a_text_costs_what_its_bytes_and_its_end_cost() -> None:
    uniform = math.log(END + 1)
    assert ByteModel([]).nats("ab") == pytest.approx(3 * uniform)
    model = ByteModel(["ab"], order=1)  # three symbols, each once
    assert model.nats("") == pytest.approx(-math.log((1 + 3 / (END + 1)) / 6))
    seen = ByteModel(['{"about": "food"}'] * 50)
    assert seen.nats('{"about": "food"}') < 5 < seen.nats('{"about": "soup"}')
