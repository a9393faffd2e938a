"""Lesson 6: every claim of its README, in numbers."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from projects.foundations.lesson06_attention import lesson
from projects.foundations.lesson06_attention.lesson import (
    Projections,
    Reader,
    attend,
    attention_weights,
    causal_mask,
    multi_head_attention,
)

SIZES = st.integers(1, 6)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def projections(width: int, seed: int = 0) -> Projections:
    return Projections(
        *(matrix.double() for matrix in lesson.random_projections(width, torch.Generator().manual_seed(seed)))
    )


@pytest.fixture(scope="module")
def trained() -> tuple[Reader, list[float]]:
    return lesson.train()


@settings(max_examples=60, deadline=None)
@given(SIZES, SIZES, SIZES, SIZES, SIZES, st.integers(0, 10_000))
def test_a_look_up_is_pytorchs(batch: int, heads: int, queries: int, keys: int, head_size: int, seed: int) -> None:
    query, key, value = (
        normal(batch, heads, queries, head_size, seed=seed),
        *normal(2, batch, heads, keys, head_size, seed=seed + 1),
    )
    mask = normal(batch, 1, queries, keys, seed=seed) > 0
    mask[..., 0] = True  # each query may look somewhere
    for allowed in (None, mask):
        ours, weights = attend(query, key, value, allowed)
        assert weights.shape == (batch, heads, queries, keys)
        assert torch.allclose(
            ours, scaled_dot_product_attention(query, key, value, attn_mask=allowed), rtol=0, atol=1e-6
        )
    causal = attend(key, key, value, causal_mask(keys))[0]
    assert torch.allclose(causal, scaled_dot_product_attention(key, key, value, is_causal=True), rtol=0, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(SIZES, SIZES, st.integers(0, 10_000))
def test_weights_sum_to_1_and_masked_ones_are_0(queries: int, keys: int, seed: int) -> None:
    mask = normal(queries, keys, seed=seed) > 0
    mask[:, 0] = True
    weights = attention_weights(normal(2, queries, 5, seed=seed), normal(2, keys, 5, seed=seed + 1), mask)
    assert torch.allclose(weights.sum(dim=-1), torch.ones(2, queries, dtype=torch.float64))
    assert torch.all((weights == 0) == ~mask)


def test_a_query_that_may_look_nowhere_gets_nan() -> None:
    assert attention_weights(normal(1, 4), normal(3, 4), torch.zeros(1, 3, dtype=torch.bool)).isnan().all()


def test_a_sharp_query_is_a_look_up_in_a_table_and_equal_scores_are_the_mean() -> None:
    key, value = torch.eye(4, dtype=torch.float64), normal(4, 4)
    assert torch.allclose(attend(1000 * key[2:3], key, value)[0], value[2:3])
    assert torch.allclose(attend(0 * key[2:3], key, value)[0], value.mean(dim=0))


def test_what_is_masked_cannot_change_the_answer() -> None:
    x, matrices = normal(2, 6, 8), projections(8)
    changed = x.clone()
    changed[:, 4:] += 1
    before, after = (multi_head_attention(tokens, matrices, 2, causal_mask(6))[0] for tokens in (x, changed))
    assert torch.allclose(before[:, :4], after[:, :4]) and (before[:, 4:] - after[:, 4:]).abs().max() > 0.1
    mask = lesson.padding_mask(torch.tensor([4, 6]), 6)
    assert mask.shape == (2, 1, 1, 6)
    before, after = (multi_head_attention(tokens, matrices, 2, mask)[0] for tokens in (x, changed))
    assert torch.allclose(before[0, :4], after[0, :4]), "padded from 4 on"
    assert (before[1, :4] - after[1, :4]).abs().max() > 0.1, "not padded"
    assert torch.allclose(before[0, :4], multi_head_attention(x[:1, :4], matrices, 2)[0][0]), (
        "as if the padding were not there"
    )


def test_the_spread_of_the_scores_is_the_root_of_the_head_size() -> None:
    tops = []
    for head_size in (4, 16, 64, 256):
        (raw, raw_top), (divided, top) = (
            lesson.score_spread(head_size, divided=False),
            lesson.score_spread(head_size, divided=True),
        )
        assert raw == pytest.approx(math.sqrt(head_size), rel=0.05) and divided == pytest.approx(1, rel=0.05)
        assert top < 0.35
        tops.append(raw_top)
    assert tops == sorted(tops) and tops[-1] > 0.85, "saturated"


def test_a_saturated_softmax_hands_hardly_any_gradient_back() -> None:
    sizes = []
    for scale in (1.0, 16.0):
        scores = (scale * normal(500, 16)).requires_grad_()
        (torch.softmax(scores, dim=-1) * normal(500, 16, seed=1)).sum().backward()
        assert scores.grad is not None
        sizes.append(scores.grad.norm(dim=-1).median().item())
    assert sizes[1] < 0.2 * sizes[0]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3), st.integers(1, 6), st.integers(1, 4), st.integers(1, 4), st.booleans())
def test_many_heads_are_pytorchs(batch: int, time: int, heads: int, head_size: int, causal: bool) -> None:
    x, matrices = normal(batch, time, heads * head_size), projections(heads * head_size)
    mask = causal_mask(time) if causal else None
    ours, weights = multi_head_attention(x, matrices, heads, mask)
    forbidden = None if mask is None else ~mask  # there, True is where one may not look
    theirs, their_weights = lesson.library_attention(matrices, heads)(
        x, x, x, attn_mask=forbidden, average_attn_weights=False
    )
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-6) and torch.allclose(weights, their_weights, rtol=0, atol=1e-6)


def test_heads_are_split_and_joined_and_each_is_a_look_up_of_its_own() -> None:
    x, matrices = normal(2, 5, 12), projections(12)
    split = lesson.split_heads(x, 3)
    assert split.shape == (2, 3, 5, 4) and torch.equal(split[:, 1], x[..., 4:8])
    assert torch.equal(lesson.join_heads(split), x)
    alone = [attend(*(x @ matrix[:, 4 * head : 4 * head + 4] for matrix in matrices[:3]))[0] for head in range(3)]
    assert torch.allclose(multi_head_attention(x, matrices, 3)[0], torch.cat(alone, dim=-1) @ matrices.output)


@pytest.mark.parametrize("seed", range(5))
def test_without_positions_attention_does_not_see_the_order_and_with_them_it_does(seed: int) -> None:
    x, matrices = normal(2, 7, 8, seed=seed), projections(8, seed)
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    for place, blind in ((torch.zeros(7, 8), True), (lesson.positions(7, 8), False)):
        kept, shuffled = (multi_head_attention(tokens + place, matrices, 2)[0] for tokens in (x, x[:, order]))
        assert ((shuffled - kept[:, order]).abs().max().item() < 1e-12) == blind


def test_positions_are_the_papers() -> None:
    table = lesson.positions(50, 8)
    for place, pair in ((0, 0), (7, 1), (49, 3)):
        angle = place / 10_000 ** (2 * pair / 8)
        assert table[place, 2 * pair : 2 * pair + 2].tolist() == pytest.approx(
            [math.sin(angle), math.cos(angle)], abs=1e-5
        )


@given(st.integers(-20, 20))
def test_a_shift_is_one_rotation_for_all_positions(shift: int) -> None:
    table, matrix = lesson.positions(100, 16), lesson.shift_matrix(shift, 16)
    assert torch.allclose(table[30:60] @ matrix, table[30 + shift : 60 + shift], atol=1e-4)
    assert torch.allclose(matrix @ matrix.T, torch.eye(16), atol=1e-5)
    products = (table[30:60] * table[30 + shift : 60 + shift]).sum(dim=-1)
    assert products.max() - products.min() < 1e-3, "the product of two positions depends on their distance only"


def test_the_answers_are_what_followed_the_first_time() -> None:
    tokens, answers = lesson.follow_task(50, torch.Generator().manual_seed(0))
    assert tokens.shape == (50, 15) and answers.shape == (50, 7)
    for row, right in zip(tokens.tolist(), answers.tolist(), strict=True):
        assert sorted(row[:8]) == list(range(8)) and sorted(row[8:]) == sorted(row[:7])
        assert right == [row[row.index(token) + 1] for token in row[8:]]


def test_the_task_is_solved_on_held_out_sequences(trained: tuple[Reader, list[float]]) -> None:
    reader, losses = trained
    assert losses[0] > 1.5 and sum(losses[-20:]) / 20 < 0.2
    assert lesson.accuracy(lesson.random_reader()) < 0.3
    assert lesson.accuracy(reader) > 0.95


def test_the_layers_do_what_the_picture_says(trained: tuple[Reader, list[float]]) -> None:
    tokens, answers = lesson.follow_task(200, torch.Generator().manual_seed(1_000_000))
    with torch.no_grad():
        first, second = (weights[:, 0] for weights in lesson.read(trained[0], tokens)[1])
    near = first[:, torch.arange(1, 8), torch.arange(7)] + first[:, torch.arange(1, 8), torch.arange(1, 8)]
    assert near.mean() > 0.6, "layer 1, in the first part: itself and the place before"
    place = (
        (tokens[:, None, :8] == answers[:, :, None]).int().argmax(dim=-1)
    )  # where the answer stands in the first part
    on_answer = second[:, 8:].gather(2, place[..., None])
    assert on_answer.mean() < 0.05 and second[:, 8:, :8].sum(dim=-1).mean() > 0.7, "layer 2: the other letters"


def test_the_pretrained_heads_look_where_the_picture_says_and_the_look_up_is_ours() -> None:
    from transformers import AutoModel, AutoTokenizer

    from common.models.pretrained import pretrained

    tokens, weights = lesson.sentence_weights()
    assert weights.shape == (6, 12, len(tokens), len(tokens))
    (layer, head, _), (late, other, _) = lesson.HEADS
    assert weights[layer, head].diagonal(offset=-1).min() > 0.9
    of_it = weights[late, other, tokens.index("it")]
    assert tokens[int(of_it.argmax())] == "cat" and of_it.max() > 0.4
    nouns = weights[late, other][:, [tokens.index("cat"), tokens.index("milk")]].sum(dim=-1)
    assert nouns.mean() > 0.6
    folder = pretrained("starter:minilm-l6").folder
    encoder = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    with torch.no_grad():
        x = encoder.embeddings(
            **AutoTokenizer.from_pretrained(folder)(lesson.SENTENCE, return_tensors="pt", return_attention_mask=False)
        )
        its = encoder.encoder.layer[0].attention.self
        ours = attention_weights(lesson.split_heads(its.query(x), 12), lesson.split_heads(its.key(x), 12))
    assert torch.allclose(ours[0], weights[0], atol=1e-5)
