"""Lesson 4: every claim of its README, in numbers."""

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projects.foundations.lesson02_linear_regression.lesson import shuffled_batches
from projects.foundations.lesson04_neural_network import engine, lesson
from projects.foundations.lesson04_neural_network.engine import Array, Numbers, Tensor
from projects.foundations.lesson04_neural_network.lesson import Parameters, backpropagate, logits_by_hand, start

SEEDS = pytest.mark.parametrize("seed", range(3))


def example(seed: int) -> tuple[Parameters, Array, Numbers]:
    """A small network whose biases are not 0 either, and 7 rows."""
    generator = np.random.default_rng(seed)
    parameters = [parameter + generator.normal(size=parameter.shape) for parameter in start(5, 4, 3, seed)]
    return parameters, generator.normal(size=(7, 5)), generator.integers(0, 3, size=7)


def torch_gradients(parameters: Parameters, x: Array, labels: Numbers) -> tuple[float, Parameters]:
    import torch

    w1, b1, w2, b2 = theirs = [torch.tensor(parameter, requires_grad=True) for parameter in parameters]
    total = torch.nn.functional.cross_entropy(torch.sigmoid(torch.tensor(x) @ w1 + b1) @ w2 + b2, torch.tensor(labels))
    total.backward()
    return total.item(), [parameter.grad.numpy() for parameter in theirs]


@SEEDS
def test_linear_layers_collapse_into_one_and_the_sigmoid_prevents_it(seed: int) -> None:
    parameters, x, _ = example(seed)
    weights, bias = lesson.collapse(parameters)
    assert weights.shape == (5, 3) and bias.shape == (3,)
    tensors = [Tensor(parameter) for parameter in parameters]
    assert lesson.network(tensors, x, bend=False).value == pytest.approx(x @ weights + bias, abs=1e-12)
    assert lesson.network(tensors, x).value == pytest.approx(logits_by_hand(parameters, x), abs=1e-12)
    fitted = np.linalg.lstsq(np.column_stack([x, np.ones(7)]), logits_by_hand(parameters, x))[0]
    assert np.abs(np.column_stack([x, np.ones(7)]) @ fitted - logits_by_hand(parameters, x)).max() > 0.01, (
        "nor is it any other linear layer"
    )


def test_no_straight_line_separates_the_clouds_and_two_sigmoid_units_do() -> None:
    points, labels = lesson.crossed_clouds()
    assert labels.mean() == 0.5 and np.mean((points.prod(axis=1) < 0) == labels) > 0.99, (
        "the label is the exclusive or of the signs"
    )
    straight, bent = (
        lesson.network([Tensor(parameter) for parameter in lesson.fit_clouds(bend)], points, bend).value
        for bend in (False, True)
    )
    assert lesson.accuracy(straight, labels) < 0.8
    assert lesson.accuracy(bent, labels) == 1
    angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    scores = points @ np.array([np.cos(angles), np.sin(angles)])  # (rows, 90)
    best = max(np.mean((scores > at) == (labels[:, None] == 1), axis=0).max() for at in np.linspace(-2, 2, 81))
    assert 0.6 < best < 0.8, "whatever the line: three clouds of four at most"


@SEEDS
def test_backpropagation_by_hand_is_the_numeric_gradient_and_torchs(seed: int) -> None:
    parameters, x, labels = example(seed)
    by_hand, by_quotient = backpropagate(parameters, x, labels), lesson.numeric_gradient(parameters, x, labels)
    total, theirs = torch_gradients(parameters, x, labels)
    assert lesson.loss(parameters, x, labels) == pytest.approx(total, abs=1e-12)
    for mine, quotient, torchs, parameter in zip(by_hand, by_quotient, theirs, parameters, strict=True):
        assert mine.shape == parameter.shape and np.abs(mine).max() > 0.01
        assert mine == pytest.approx(quotient, abs=1e-8)
        assert mine == pytest.approx(torchs, abs=1e-12)


def test_the_numeric_gradient_needs_two_forward_passes_for_each_parameter(monkeypatch: pytest.MonkeyPatch) -> None:
    parameters, x, labels = example(0)
    asked: list[int] = []
    forward = lesson.loss
    monkeypatch.setattr(lesson, "loss", lambda *arguments: asked.append(1) or forward(*arguments))
    lesson.numeric_gradient(parameters, x, labels)
    assert len(asked) == 2 * sum(parameter.size for parameter in parameters)
    assert sum(parameter.size for parameter in start(64, 32, 10)) == 2410


@SEEDS
def test_the_engine_finds_the_gradient_by_hand(seed: int) -> None:
    parameters, x, labels = example(seed)
    tensors = [Tensor(parameter) for parameter in parameters]
    total = lesson.network(tensors, x).cross_entropy(labels)
    for _ in range(2):  # backward clears what was there: a second call changes nothing
        total.backward()
        for mine, tensor in zip(backpropagate(parameters, x, labels), tensors, strict=True):
            assert tensor.gradient == pytest.approx(mine, abs=1e-13)


SHAPES = [(3, 3), (3, 3), (3,), (1, 3), (3, 1), (1, 1), ()]
STEPS = st.tuples(
    st.sampled_from(["add", "multiply", "matmul", "sigmoid", "relu", "sum"]), st.integers(0, 99), st.integers(0, 99)
)


def evaluate(leaves: list[Any], program: list[tuple[str, int, int]], bend: dict[str, Any], labels: Any) -> Any:
    """Run a random program: each step takes two of the values there are, old or new, and adds one more."""
    values = list(leaves)
    for name, first, second in program:
        a, b = values[first % len(values)], values[second % len(values)]
        if name == "matmul":
            a, b = a + leaves[0], b + leaves[1]  # broadcast to (3, 3)
            values.append(a @ b)
        elif name == "sum":
            values.append(a.sum())
        elif name in bend:
            values.append(bend[name](a))
        else:
            values.append(a + b if name == "add" else a * b)
        values[-1] = (
            bend["sigmoid"](values[-1]) if name == "multiply" else values[-1]
        )  # squares of squares would overflow
    last = leaves[0]
    for value in values[1:]:
        last = last + value
    return bend["cross_entropy"](last, labels)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=8), st.integers(0, 10_000))
def test_the_engines_gradients_are_torchs_on_random_expressions(program: list[tuple[str, int, int]], seed: int) -> None:
    import torch

    generator = np.random.default_rng(seed)
    starts, labels = [generator.normal(size=shape) for shape in SHAPES], generator.integers(0, 3, size=3)
    ours = [Tensor(value) for value in starts]
    theirs = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in starts]
    mine = evaluate(
        ours, program, {"sigmoid": Tensor.sigmoid, "relu": Tensor.relu, "cross_entropy": Tensor.cross_entropy}, labels
    )
    functions = {"sigmoid": torch.sigmoid, "relu": torch.relu, "cross_entropy": torch.nn.functional.cross_entropy}
    total = evaluate(theirs, program, functions, torch.tensor(labels))
    mine.backward()
    total.backward()
    assert float(mine.value) == pytest.approx(total.item(), rel=1e-9, abs=1e-9)
    for tensor, leaf in zip(ours, theirs, strict=True):
        assert leaf.grad is not None and tensor.gradient.shape == tensor.value.shape
        scale = max(1.0, float(leaf.grad.abs().max()))
        assert tensor.gradient == pytest.approx(leaf.grad.numpy(), abs=1e-9 * scale, rel=0)


def test_parts_of_a_gradient_are_added_up_before_they_are_handed_on() -> None:
    x = Tensor(3.0)
    y = x * x
    (y * y + y).backward()  # x⁴ + x², whose slope is 4x³ + 2x
    assert x.gradient == pytest.approx(114)
    assert y.gradient == pytest.approx(2 * 9 + 1)


def test_the_order_puts_each_tensor_once_and_after_its_parents_however_deep() -> None:
    x = Tensor(1.0)
    last = x
    for _ in range(5_000):
        last = last + x
    order = engine.in_order(last)
    place = {tensor: at for at, tensor in enumerate(order)}
    assert len(place) == len(order) == 5_001 and order[-1] is last
    assert all(place[parent] < place[tensor] for tensor in order for parent in tensor.parents)
    last.backward()
    assert x.gradient == 5_001


@pytest.mark.parametrize("shape", [(4, 3), (3,), (1, 3), (4, 1), (1, 1), ()])
def test_undoing_broadcasting_counts_how_often_a_value_was_used(shape: tuple[int, ...]) -> None:
    back = engine.sum_to_shape(np.ones((4, 3)), shape)
    assert back.shape == shape
    assert back == pytest.approx(np.full(shape, 12 / max(1, int(np.prod(shape)))))


def test_only_a_single_number_can_go_backward() -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 2\)"):
        Tensor(np.ones((2, 2))).backward()


def test_huge_scores_do_not_overflow() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert engine.sigmoid(np.array([-1000.0, 1000.0])).tolist() == [0.0, 1.0]
        logs = engine.log_softmax(np.array([[1000.0, 0.0], [-1000.0, -1000.0]]))
    assert logs == pytest.approx(np.array([[0, -1000], [-np.log(2), -np.log(2)]]))


@given(st.floats(-50, 50))
def test_a_number_added_to_all_logits_changes_nothing(shift: float) -> None:
    logits = np.random.default_rng(0).normal(size=(4, 3))
    assert np.exp(engine.log_softmax(logits)).sum(axis=1) == pytest.approx(np.ones(4))
    assert engine.log_softmax(logits + shift) == pytest.approx(engine.log_softmax(logits), abs=1e-12)


def test_hidden_units_that_begin_alike_stay_alike_and_random_ones_do_not() -> None:
    x, labels, *_ = lesson.digits()
    batches = shuffled_batches(len(x), 32, passes=1)
    w1, b1, w2, b2 = start(64, 8, 10)
    alike = [
        np.repeat(w1[:, :1], 8, axis=1),
        b1,
        np.repeat(w2[:1], 8, axis=0),
        b2,
    ]  # the first hidden unit, eight times
    for first, most in ((alike, 1), (start(64, 8, 10), 8)):
        w1, *_ = list(lesson.train(first, x, labels, batches, 0.3))[-1]
        assert np.abs(w1 - first[0]).max() > 0.01, "it has learned something"
        assert np.linalg.matrix_rank(w1, tol=1e-8) == most
    zeros = [np.zeros_like(parameter) for parameter in start(64, 8, 10)]
    assert np.all(backpropagate(zeros, x, labels)[0] == 0), "from 0 the first layer does not even begin to move"


def test_the_start_keeps_scores_near_one() -> None:
    generator = np.random.default_rng(0)
    for inputs in (16, 1024):
        w1, b1, _, b2 = start(inputs, 64, 10)
        assert np.std(generator.normal(size=(500, inputs)) @ w1) == pytest.approx(1, rel=0.1)
        assert not b1.any() and not b2.any()
    assert np.any(start(2, 2, 2, seed=0)[0] != start(2, 2, 2, seed=1)[0])


def test_the_digits_are_what_the_readme_says() -> None:
    x, labels, held_out, held_out_labels = lesson.digits()
    assert x.shape[1] == held_out.shape[1] == 64 and len(x) + len(held_out) == 1797 and len(held_out) == 450
    assert x.min() == 0 and x.max() == 1
    assert sorted(set(labels)) == sorted(set(held_out_labels)) == list(range(10))


@pytest.mark.parametrize("seed", range(2))
def test_the_digits_are_learned_with_the_weights_of_torch_after_every_step(seed: int) -> None:
    x, labels, held_out, held_out_labels = lesson.digits()
    first, batches = start(64, 32, 10, seed), shuffled_batches(len(x), 32, passes=40, seed=seed)
    before = lesson.accuracy(logits_by_hand(first, held_out), held_out_labels)
    ours: Parameters = first
    both = zip(
        lesson.train(first, x, labels, batches, 0.3), lesson.torch_train(first, x, labels, batches, 0.3), strict=True
    )
    for steps, (ours, theirs) in enumerate(both, start=1):
        assert all(np.abs(a - b).max() < 1e-8 for a, b in zip(ours, theirs, strict=True)), steps
    assert steps == len(batches)
    assert before < 0.3 and lesson.accuracy(logits_by_hand(ours, held_out), held_out_labels) > 0.95
    assert np.abs(first[0] - ours[0]).max() > 0.1


def test_training_leaves_the_start_as_it_was() -> None:
    parameters, x, labels = example(0)
    kept = [parameter.copy() for parameter in parameters]
    for way in (lesson.train, lesson.torch_train):
        path = list(way(parameters, x, labels, [np.arange(7)] * 3, 0.5))
        assert len(path) == 3 and np.abs(path[0][0] - path[2][0]).max() > 1e-4
        assert all(np.array_equal(a, b) for a, b in zip(parameters, kept, strict=True))


def test_the_lesson_prints_how_many_times_as_long_ours_takes(capsys: pytest.CaptureFixture[str]) -> None:
    lesson.compare_with_the_library()
    lines = [line for line in capsys.readouterr().out.splitlines() if line.endswith(" times")]
    assert len(lines) == 3
    for line in lines:
        words = line.split()
        ours, theirs, ratio = (
            float(words[words.index("ours") + 1]),
            float(words[words.index("PyTorch") + 1]),
            float(words[-2]),
        )
        assert ours > 0 and ratio == pytest.approx(ours / theirs, rel=0.1, abs=0.1)
