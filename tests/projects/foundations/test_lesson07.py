"""Lesson 7: every claim of its README, in numbers."""

import math
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cross_entropy

from projects.foundations import lessons
from projects.foundations.lesson07_transformer import compare, dates, lesson
from projects.foundations.lesson07_transformer.lesson import Architecture, Trained, Transformer
from tests.projects.foundations.test_lessons import run_whole

SMALL = Architecture(width=16, heads=4, hidden=24, layers=2)


def model_of(a: Architecture, tokens: int = 20, seed: int = 0) -> Transformer:
    """A model whose norms and biases are random too, so that none of them can be forgotten unseen."""
    with lesson.repeatable(seed):
        model = Transformer(a, tokens).double()
        for parameter in model.parameters():
            if parameter.dim() == 1:
                torch.nn.init.normal_(parameter, mean=0.5)
    return model.eval()


def padded(lengths: list[int], seed: int = 0, tokens: int = 20) -> Tensor:
    """Random tokens (rows, longest) with padding behind."""
    generator = torch.Generator().manual_seed(seed)
    rows = [torch.randint(dates.END + 1, tokens, (length,), generator=generator) for length in lengths]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=dates.PAD)


@pytest.fixture(scope="module")
def trained() -> Trained:
    return lesson.train()


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")  # theirs warns that one of its shortcuts is off
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("pre_norm", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_encoder_and_decoder_are_pytorchs(activation: str, pre_norm: bool, seed: int) -> None:
    a = replace(SMALL, activation=activation, pre_norm=pre_norm)
    ours, theirs = compare.both_outputs(model_of(a, seed=seed), a, padded([7, 4, 9], seed), padded([5, 5, 3], seed + 1))
    assert ours.shape == (3, 5, 16)
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-10), "in float64"
    single = model_of(a, seed=seed).float()
    ours, theirs = compare.both_outputs(single, a, padded([7, 4, 9], seed), padded([5, 5, 3], seed + 1))
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-5), "in float32"


def test_the_gradients_are_pytorchs_too() -> None:
    model = model_of(SMALL)
    source, written, direction = padded([7, 4]), padded([5, 5], 1), torch.randn(2, 5, 16, dtype=torch.float64)
    by_ours, by_theirs = (
        torch.autograd.grad((output * direction).sum(), model.embedding.weight)
        for output in compare.both_outputs(model, SMALL, source, written)
    )
    assert torch.allclose(by_ours[0], by_theirs[0], rtol=0, atol=1e-10)


@pytest.mark.parametrize("pre_norm", [False, True])
def test_a_later_target_token_does_not_change_an_earlier_output(pre_norm: bool) -> None:
    model, source, written = model_of(replace(SMALL, pre_norm=pre_norm)), padded([7, 4]), padded([6, 6], 1)
    before = model(source, written)
    for place in range(6):
        changed = written.clone()
        changed[:, place] = 3 + (changed[:, place] - 2) % 17
        apart = (model(source, changed) - before).abs().amax(dim=(0, 2))
        assert torch.all(apart[:place] < 1e-12) and apart[place] > 1e-3
    changed = source.clone()
    changed[:, -1] = 3 + changed[:, -1] % 17
    assert torch.all((model(changed, written) - before)[0].abs().amax(dim=1) > 1e-6), (
        "the source is seen from everywhere"
    )


def test_padding_of_the_source_changes_nothing() -> None:
    model, source, written = model_of(SMALL), padded([7]), padded([5], 1)
    longer = torch.nn.functional.pad(source, (0, 4), value=dates.PAD)
    assert torch.allclose(model(source, written), model(longer, written), rtol=0, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 4), st.integers(1, 6), st.integers(4, 30), st.floats(0, 1), st.integers(0, 10_000))
def test_the_smoothed_loss_is_pytorchs(batch: int, time: int, tokens: int, smoothing: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = 5 * torch.randn(batch, time, tokens, generator=generator, dtype=torch.float64)
    targets = torch.randint(tokens, (batch, time), generator=generator)
    targets[0, 0] = 1  # not all may be padding
    theirs = cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=dates.PAD, label_smoothing=smoothing)
    assert lesson.smoothed_loss(logits, targets, smoothing).item() == pytest.approx(theirs.item(), abs=1e-10)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_the_lowest_loss_is_where_descent_ends(smoothing: float) -> None:
    target = torch.full((1, 1, 12), smoothing / 12, dtype=torch.float64)
    target[0, 0, 4] += 1 - smoothing
    lowest = lesson.smoothed_loss((target + 1e-300).log(), torch.tensor([[4]]), smoothing).item()
    assert lesson.lowest_loss(12, smoothing) == pytest.approx(lowest, abs=1e-9)
    for seed in range(20):
        other = (target + 1e-300).log() + 0.3 * torch.randn(
            12, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
        )
        assert lesson.smoothed_loss(other, torch.tensor([[4]]), smoothing).item() >= lowest - 1e-12


def test_the_learning_rate_is_the_papers() -> None:
    for step, expected in (
        (1, 512**-0.5 / 4000**1.5),
        (1000, 512**-0.5 * 1000 / 4000**1.5),
        (4000, 1 / math.sqrt(512 * 4000)),
        (16_000, 512**-0.5 / math.sqrt(16_000)),
    ):
        assert lesson.learning_rate(step, 512, 4000) == pytest.approx(expected, rel=1e-12)
    assert lesson.learning_rate(4000, 512, 4000) == pytest.approx(6.9877e-4, rel=1e-4)
    rates = [lesson.learning_rate(step, 64, 300) for step in range(1, 1000)]
    assert (
        rates.index(max(rates)) + 1 == 300
        and rates[:300] == sorted(rates[:300])
        and rates[299:] == sorted(rates[299:], reverse=True)
    )


def test_post_norm_spreads_the_first_gradients_over_the_layers_and_pre_norm_does_not() -> None:
    post, pre = lesson.gradient_sizes(pre_norm=False), lesson.gradient_sizes(pre_norm=True)
    assert len(post) == len(pre) == 12
    assert post == sorted(post) and post[-1] > 100 * post[0]
    assert max(pre) < 2 * min(pre)


def test_dates_are_spelt_as_people_do() -> None:
    assert [dates.spell(date(1987, 5, 3), form) for form in range(6)] == [
        "3 May 1987",
        "May 3, 1987",
        "May 3rd, 1987",
        "the 3rd of May 1987",
        "3/5/1987",
        "the third of May 1987",
    ]
    suffixes = {number: dates.spell(date(2000, 1, number), 3).split()[1] for number in range(1, 32)}
    assert [suffixes[number] for number in (1, 2, 4, 11, 12, 13)] == ["1st", "2nd", "4th", "11th", "12th", "13th"]
    assert [suffixes[number] for number in (21, 22, 23, 30, 31)] == ["21st", "22nd", "23rd", "30th", "31st"]
    assert (
        dates.ORDINALS[9] == "tenth" and dates.ORDINALS[21] == "twenty-second" and dates.ORDINALS[30] == "thirty-first"
    )
    assert len(dates.ORDINALS) == 31 and len(dates.FORMS) == 6


def test_no_held_out_day_is_trained_on() -> None:
    known, held_out = dates.split_days()
    assert not set(known) & set(held_out)
    assert sorted(known + held_out) == dates.days(1900, 2099)
    assert len(held_out) == 7304 and (known, held_out) == dates.split_days()
    texts, right = dates.sample(known, 500, torch.Generator().manual_seed(0))
    assert {date.fromisoformat(day) for day in right} <= set(known) and len(set(texts)) > 450


def test_texts_become_tokens_and_come_back() -> None:
    texts = [dates.spell(day, form) for day in dates.split_days()[1][:40] for form in range(6)]
    tokens = dates.tokenise(texts)
    assert tokens.min() == dates.PAD and tokens.max() < dates.TOKENS
    assert [dates.text_of([number for number in row if number != dates.PAD]) for row in tokens.tolist()] == texts
    assert dates.text_of([*dates.tokenise(["1987"])[0].tolist(), dates.END, 5, 5]) == "1987"
    assert dates.text_of([dates.BEGIN]) == "?"


def test_greedy_writes_the_likeliest_token_at_each_step() -> None:
    model, source = model_of(SMALL), padded([7, 4, 9])
    written = lesson.greedy(model, source, limit=6)
    assert written.shape[0] == 3 and written.shape[1] <= 6
    whole = torch.cat([torch.full((3, 1), dates.BEGIN), written[:, :-1]], dim=1)
    assert torch.equal(model(source, whole).argmax(dim=-1), written), "all at once, it would choose the same"


def test_greedy_stops_when_all_have_ended() -> None:
    model = model_of(SMALL)
    with torch.no_grad():
        model.embedding.weight[:] = -model.embedding.weight[dates.END]
        model.embedding.weight[dates.END] *= -1
        last = model.decoder.get_submodule("layers.1.residuals.2.norm")
        last.weight.zero_()  # type: ignore[union-attr, operator]
        last.bias.copy_(model.embedding.weight[dates.END])  # type: ignore[union-attr, operator]
    assert lesson.greedy(model, padded([7, 4]), limit=6).tolist() == [[dates.END]] * 2


def test_nothing_global_is_left_changed() -> None:
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    trained = lesson.train(steps=2)
    assert len(trained.losses) == 2
    lesson.gradient_sizes(pre_norm=True, layers=1)
    assert torch.get_num_threads() == threads and torch.equal(torch.random.get_rng_state(), state)
    assert trained.losses == lesson.train(steps=2).losses, "the same again"


def test_minilm_in_our_encoder_gives_transformers_outputs() -> None:
    sentences = [
        *compare.SENTENCES,
        "",
        "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich 🙂",
        "one two three " * 60,
    ]
    ours, theirs, mask = compare.both_minilms(sentences)
    assert ours.shape == theirs.shape == (6, mask.shape[1], 384) and ours.dtype == torch.float32
    assert mask.sum(dim=1).min() == 2 and mask.shape[1] > 150, "short and long ones in one batch"
    assert torch.allclose(ours[mask.bool()], theirs[mask.bool()], rtol=0, atol=1e-5)
    assert ours[mask.bool()].std() > 0.1


@pytest.mark.slow
def test_minilm_without_its_own_choices_gives_something_else() -> None:
    from common.models.pretrained import pretrained

    model = compare.load_minilm(pretrained("starter:minilm-l6").folder)
    assert sum(parameter.numel() for parameter in model.parameters()) > 22_000_000
    tokens = torch.randint(1000, 20_000, (1, 12), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(tokens)
    with torch.no_grad():
        right = model(tokens, mask)
        for layer in model.encoder.layers:
            layer.feed_forward.bend = torch.nn.ReLU()  # type: ignore[union-attr]
        assert (model(tokens, mask) - right).abs().max() > 0.01, "gelu is not relu"


@pytest.mark.slow
def test_it_runs_and_leaves_pictures(
    trained: Trained, own_pictures: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lesson, "train", lambda: trained)
    run_whole(lessons.find("07"), own_pictures, capsys)


@pytest.mark.slow
def test_held_out_dates_are_solved(trained: Trained) -> None:
    _, held_out = dates.split_days()
    assert lesson.exact_match(trained.model, held_out, 2000) >= 0.99
    assert trained.measured[lesson.EVERY] < 0.5, "not solved from the first steps on"
    assert lesson.lowest_loss(dates.TOKENS, lesson.SMOOTHING) < sum(trained.losses[-50:]) / 50 < 0.72


@pytest.mark.slow
def test_it_ends_at_the_years_it_saw(trained: Trained) -> None:
    assert lesson.exact_match(trained.model, dates.days(1700, 1799), 300) < 0.5
