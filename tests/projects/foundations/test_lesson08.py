"""Lesson 8: every claim of its README, in numbers."""

import json
import math
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from projects.foundations import lessons
from projects.foundations.lesson08_gpt import lesson
from projects.foundations.lesson08_gpt.lesson import Recipe, Sampling, generate, probabilities
from projects.foundations.lesson08_gpt.model import GPT, Cache, Shape, load_model, random_gpt, save_model
from projects.foundations.lesson08_gpt.tokenizer import BYTES, END, WORDS, Tokenizer, learn_merges, merge, written
from tests.projects.foundations.test_lessons import run_whole

TEXTS = {
    "English": [
        "The cat drank the milk because it was thirsty; the other cats weren't.",
        "They're thirsty cats, aren't they?  Two spaces,\n\n\tand a tab.",
    ],
    "runs of one letter": [
        "a aa aaa aaaa aaaaa aaaaaa aaaaaaa abababab bababa aab baa",
        "aaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbb",
    ],
    "other scripts": [
        "Ein Käse für 3 €, größer als ½ m²",
        "日本語の文章と日本の本",
        "Ёлка, ёлки, ёлок и ёлочки",
        "👍👍🏽 naïve café cafés",
    ],
    "code": [
        "def f(x_1, x_2):\n    return x_1 + x_2  # sum\n\n\ndef g(x_1):\n    return f(x_1, x_1)\n",
        "----------\n==========\n",
    ],
    "nothing to merge": ["a", "b", "c"],
}
WORDS_OF = st.lists(st.text("ab c'sé1\n ", max_size=40), min_size=1, max_size=4)
LETTERS = st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=40)  # all assigned characters but surrogates


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def written_merges(merges: list[tuple[int, int]]) -> list[tuple[str, str]]:
    return [(written(left), written(right)) for left, right in lesson.spelled(merges)]


@pytest.fixture(scope="module")
def docstrings() -> list[str]:
    return lesson.docstrings(["numpy", "numpy.linalg"], 200_000)


@pytest.fixture(scope="module")
def tokenizer(docstrings: list[str]) -> Tokenizer:
    return Tokenizer(learn_merges(docstrings, 300))


@pytest.fixture(scope="module")
def model() -> GPT:
    """Far from its start, so that no part is negligible."""
    made, generator = random_gpt(Shape(40, 24, 32, 3, 4), seed=1), torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    return made.eval()


@pytest.fixture(scope="module")
def saved(model: GPT, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gpt")
    save_model(model, 39, folder)
    return folder


def some_tokens(batch: int, time: int, vocabulary: int = 40) -> Tensor:
    return torch.randint(vocabulary, (batch, time), generator=torch.Generator().manual_seed(time))


@pytest.mark.parametrize("name", TEXTS)
def test_merges_are_the_librarys(name: str) -> None:
    ours = written_merges(learn_merges(TEXTS[name], 200))
    assert ours == lesson.library_merges(TEXTS[name], 200)
    assert (len(ours) == 0) == (name == "nothing to merge")


@settings(max_examples=200, deadline=None)
@given(WORDS_OF, st.integers(0, 60))
def test_merges_are_the_librarys_on_any_text(texts: list[str], count: int) -> None:
    assert written_merges(learn_merges(texts, count)) == lesson.library_merges(texts, count)


def test_merges_are_the_librarys_on_docstrings(docstrings: list[str]) -> None:
    assert written_merges(learn_merges(docstrings, 1000)) == lesson.library_merges(docstrings, 1000)


def test_the_most_frequent_pair_is_merged_and_of_equal_ones_the_smaller_ids() -> None:
    assert written_merges(learn_merges(["ab ab cd"], 1)) == [("a", "b")]
    assert written_merges(learn_merges(["dc ba"], 2)) == [("b", "a"), ("d", "c")], "not the one that stands first"
    assert merge([1, 1, 1, 1, 1], (1, 1), 7) == [7, 7, 1], "from left to right"


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60, alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert "".join(WORDS.findall(text)) == text, "the cut loses nothing"


def test_each_byte_is_a_token_and_a_broken_sign_is_marked(tokenizer: Tokenizer) -> None:
    assert sorted(BYTES) == list(range(256)) and tokenizer.end == 256 + 300 == len(tokenizer.tokens) - 1
    assert written(b" a\n") == "ĠaĊ"
    euro = tokenizer.encode("€")
    assert tokenizer.decode(euro) == "€" and tokenizer.decode(euro[:1]) == "�"
    assert tokenizer.encode(f"a{END}a") == [*tokenizer.encode("a"), tokenizer.end, *tokenizer.encode("a")]


@pytest.fixture(scope="module")
def theirs(tokenizer: Tokenizer, saved: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Our file, read by `tokenizers` and by AutoTokenizer."""
    import tokenizers
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("tokenizer")
    (folder / "config.json").write_text((saved / "config.json").read_text())
    tokenizer.save(folder)
    return {
        "tokenizers": tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")),
        "auto": AutoTokenizer.from_pretrained(folder),
        "folder": folder,
    }


def assert_same_ids(tokenizer: Tokenizer, theirs: dict[str, object], text: str) -> None:
    ours = tokenizer.encode(text)
    assert theirs["tokenizers"].encode(text).ids == ours  # type: ignore[attr-defined]
    assert theirs["auto"](text)["input_ids"] == ours  # type: ignore[operator]
    assert theirs["auto"].decode(ours) == tokenizer.decode(ours) == text  # type: ignore[attr-defined]


def test_ids_are_the_librarys(tokenizer: Tokenizer, theirs: dict[str, object], docstrings: list[str]) -> None:
    for text in (
        *(text for texts in TEXTS.values() for text in texts),
        END.join(docstrings[:20]),
        f"{END}a {END} b",
        "'s 'S 'll 've'd",
    ):
        assert_same_ids(tokenizer, theirs, text)
    loaded = Tokenizer.load(theirs["folder"])  # type: ignore[arg-type]
    assert loaded.merges == tokenizer.merges and loaded.tokens == tokenizer.tokens


@settings(max_examples=300, deadline=None)
@given(st.one_of(LETTERS, st.text("aeinrst e'.,\n  ", max_size=80)))
def test_ids_are_the_librarys_on_any_text(tokenizer: Tokenizer, theirs: dict[str, object], text: str) -> None:
    assert_same_ids(tokenizer, theirs, text)


def test_a_vocabulary_trained_by_the_library_has_our_ids(docstrings: list[str], tokenizer: Tokenizer) -> None:
    import tokenizers
    from tokenizers import models, pre_tokenizers, trainers

    library = tokenizers.Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    library.train_from_iterator(
        docstrings, trainers.BpeTrainer(vocab_size=556, initial_alphabet=alphabet, show_progress=False)
    )
    assert library.get_vocab() == {written(token): number for number, token in enumerate(tokenizer.tokens[:-1])}
    assert library.encode(docstrings[0]).ids == tokenizer.encode(docstrings[0])


def test_docstrings_are_the_same_each_time(docstrings: list[str]) -> None:
    again = lesson.docstrings(["numpy", "numpy.linalg"], 200_000)
    assert again == docstrings and len(set(again)) == len(again)
    assert 150_000 < sum(map(len, docstrings)) <= 200_000


@torch.no_grad()
def test_transformers_reads_the_model_and_gives_the_same_logits(model: GPT, saved: Path) -> None:
    from transformers import AutoModelForCausalLM, GPT2LMHeadModel

    theirs = AutoModelForCausalLM.from_pretrained(saved).eval()
    assert isinstance(theirs, GPT2LMHeadModel)
    for batch, time in ((1, 1), (2, 7), (3, 24)):
        tokens = some_tokens(batch, time)
        assert torch.allclose(model(tokens), theirs(tokens).logits, rtol=0, atol=1e-4)
    assert torch.allclose(model.double()(tokens), theirs.double()(tokens).logits, rtol=0, atol=1e-12)
    model.float()
    assert sum(p.numel() for p in theirs.parameters()) == sum(p.numel() for p in model.parameters())


@torch.no_grad()
def test_our_own_files_and_those_of_transformers_are_read_back(model: GPT, saved: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    AutoModelForCausalLM.from_pretrained(saved).save_pretrained(tmp_path)
    for folder in (saved, tmp_path):
        loaded = load_model(folder)
        assert loaded.shape == model.shape
        assert torch.equal(loaded(some_tokens(2, 9)), model(some_tokens(2, 9)))


def test_save_and_load_and_transformers_continue_alike(
    docstrings: list[str], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    trained = random_gpt(Shape(len(tokenizer.tokens), 32, 32, 2, 2))
    tokens = torch.tensor(tokenizer.encode(END.join(docstrings[:30])))
    losses = list(
        lesson.training(trained, trained, tokens, Recipe(steps=60, batch=8, context=32, peak=5e-3, warm_up=5))
    )
    assert losses[0] == pytest.approx(math.log(len(tokenizer.tokens)), abs=0.2) and losses[-1] < losses[0] - 0.7
    lesson.save(trained.eval(), tokenizer, tmp_path / "gpt")
    loaded, read = lesson.load(tmp_path / "gpt")
    text = "".join(lesson.stream(loaded, read, "Return the", 12, Sampling(temperature=0)))
    assert text == "".join(lesson.stream(trained, tokenizer, "Return the", 12, Sampling(temperature=0)))
    auto, names = (
        AutoModelForCausalLM.from_pretrained(tmp_path / "gpt"),
        AutoTokenizer.from_pretrained(tmp_path / "gpt"),
    )
    prompt = torch.tensor([[read.end, *names("Return the")["input_ids"]]])
    theirs = auto.generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=12, do_sample=False, pad_token_id=read.end
    )
    assert names.decode(theirs[0, prompt.shape[1] :], skip_special_tokens=True) == text


def test_the_start_is_gpt2s_and_leaves_pytorchs_generator_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    model = random_gpt(Shape(100, 16, 64, 8, 4), seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    same = random_gpt(Shape(100, 16, 64, 8, 4), seed=3).state_dict()
    assert all(torch.equal(weight, same[name]) for name, weight in model.state_dict().items())
    block = model.blocks[0]
    assert block.attention.inputs.weight.std().item() == pytest.approx(0.02, rel=0.05)  # type: ignore[union-attr]
    assert block.attention.output.weight.std().item() == pytest.approx(0.02 / 4, rel=0.1)  # type: ignore[union-attr]
    assert block.attention.inputs.bias.abs().max() == 0 and block.norm_1.weight.min() == 1  # type: ignore[union-attr]


@torch.no_grad()
def test_at_the_start_each_place_gives_its_own_token_the_highest_score() -> None:
    untrained, tokens = (
        random_gpt(Shape(1257, 128, layers=lesson.LAYERS), token_spread=lesson.TOKEN_SPREAD),
        some_tokens(4, 128, 1257),
    )
    assert (untrained(tokens).argmax(dim=-1) == tokens).double().mean() > 0.95
    assert lesson.mean_loss(untrained, tokens.flatten(), 128) > math.log(1257) + 0.5


@torch.no_grad()
def test_nothing_is_seen_of_what_comes_later(model: GPT) -> None:
    tokens = some_tokens(2, 20)
    changed = tokens.clone()
    changed[:, 12:] = (changed[:, 12:] + 1) % 40
    assert torch.allclose(model(tokens)[:, :12], model(changed)[:, :12], rtol=0, atol=1e-5)
    assert (model(tokens)[:, 12:] - model(changed)[:, 12:]).abs().max() > 0.1


@torch.no_grad()
@pytest.mark.parametrize("parts", [[1] * 24, [5, 1, 1, 10, 7], [24], [23, 1]])
def test_the_cache_gives_the_same_logits(model: GPT, parts: list[int]) -> None:
    tokens, cache = some_tokens(3, 24), Cache()
    found = torch.cat([model(part, cache) for part in tokens.split(parts, dim=1)], dim=1)
    assert cache.length == 24
    assert torch.allclose(found, model(tokens), rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="25 tokens, but the model has 24 positions"):
        model(tokens[:, :1], cache)


@pytest.mark.parametrize("prompt", [1, 10, 24, 60])
def test_generation_with_the_cache_gives_the_same_logits_and_tokens(
    model: GPT, prompt: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensor] = []

    def recorded(logits: Tensor, sampling: Sampling) -> Tensor:
        seen.append(logits)
        return probabilities(logits, sampling)

    monkeypatch.setattr(lesson, "probabilities", recorded)
    start = some_tokens(1, prompt)[0].tolist()
    with_cache = list(generate(model, start, 50, seed=4))
    without = list(generate(model, start, 50, seed=4, cached=False))
    assert with_cache == without and len(with_cache) == 50, "also beyond the context"
    assert torch.allclose(torch.stack(seen[:50]), torch.stack(seen[50:]), rtol=0, atol=1e-5)


@given(st.integers(1, 500), st.integers(2, 40))
def test_the_view_fits_and_is_at_least_half_full(length: int, context: int) -> None:
    begin = lesson.first_seen(length, context)
    assert begin <= length and (begin == 0) == (length <= context)
    assert begin == 0 or context // 2 <= length - begin <= context


def test_the_same_seed_writes_the_same_and_another_writes_something_else(model: GPT) -> None:
    first, again, other = (list(generate(model, [1, 2], 40, seed=seed)) for seed in (0, 0, 1))
    assert first == again != other


def test_signs_of_several_bytes_come_when_they_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Tokenizer([])
    tokens = [*plain.encode("é€"), plain.encode("€")[0], *plain.encode("a"), plain.encode("é")[0]]
    monkeypatch.setattr(lesson, "generate", lambda *_: iter(tokens))
    assert list(lesson.stream(random_gpt(Shape(257)), plain, "")) == ["é", "€", "�a", "�"]
    monkeypatch.setattr(lesson, "generate", lambda *_: iter([*plain.encode("a"), plain.end, *plain.encode("b")]))
    assert list(lesson.stream(random_gpt(Shape(257)), plain, "")) == ["a"], "until the document ends"


@settings(max_examples=100, deadline=None)
@given(st.floats(0.2, 3), st.integers(1, 60), st.floats(0.05, 0.99), st.integers(0, 10_000))
def test_sampling_is_that_of_transformers(temperature: float, k: int, p: float, seed: int) -> None:
    from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    logits, ids = 3 * normal(3, 50, seed=seed), torch.zeros(3, 1, dtype=torch.long)
    assert torch.equal(lesson.keep_top_k(logits, k), TopKLogitsWarper(k)(ids, logits))
    assert torch.equal(lesson.keep_top_p(logits, p), TopPLogitsWarper(p)(ids, logits))
    all_three = LogitsProcessorList([TemperatureLogitsWarper(temperature), TopKLogitsWarper(k), TopPLogitsWarper(p)])
    ours = probabilities(logits, Sampling(temperature, k, p))
    assert torch.allclose(ours, torch.softmax(all_three(ids, logits), dim=-1), rtol=0, atol=1e-12)


def test_the_ends_of_the_sampling() -> None:
    logits = normal(4, 30)
    assert torch.allclose(probabilities(logits, Sampling()), torch.softmax(logits, dim=-1))
    for greedy in (Sampling(temperature=0), Sampling(top_k=1), Sampling(top_p=1e-9)):
        assert torch.equal(probabilities(logits, greedy).argmax(dim=-1), logits.argmax(dim=-1))
        assert (probabilities(logits, greedy) > 0).sum() == 4
    hot, cold = (probabilities(logits, Sampling(temperature=t)).max(dim=-1).values for t in (2.0, 0.5))
    assert torch.all(hot < torch.softmax(logits, dim=-1).max(dim=-1).values) and torch.all(hot < cold)


def test_the_learning_rate_rises_and_falls() -> None:
    rates = [lesson.learning_rate(step, Recipe()) for step in range(2001)]
    assert max(rates) == rates[100] == pytest.approx(3e-3) and rates[-1] == pytest.approx(3e-4)
    assert rates[:101] == sorted(rates[:101]) and rates[100:] == sorted(rates[100:], reverse=True)


@torch.no_grad()
@pytest.mark.parametrize("length", [25, 24, 60, 9])
def test_the_validation_loss_asks_each_token_once(model: GPT, length: int) -> None:
    tokens, total = some_tokens(1, length)[0], 0.0
    for begin in range(0, length - 1, 12):
        inputs, answers = tokens[begin : begin + 12], tokens[begin + 1 : begin + 13]
        total += functional.cross_entropy(model(inputs[None, : len(answers)])[0], answers, reduction="sum").item()
    assert lesson.mean_loss(model, tokens, 12) == pytest.approx(total / (length - 1), rel=1e-5)


def test_counting_and_bits_per_byte() -> None:
    tokens = torch.tensor([0, 1, 2, 3] * 500)
    losses = lesson.count_losses(tokens, tokens, 4)
    assert losses["all tokens alike"] == losses["frequency"] == pytest.approx(math.log(4))
    assert losses["frequency behind the token before"] < 0.1
    assert lesson.bits_per_byte(math.log(2), 10, 10) == 1 and lesson.bits_per_byte(math.log(4), 10, 40) == 0.5


def test_training_is_the_same_each_time_and_the_same_for_transformers(model: GPT, saved: Path) -> None:
    """The same loop on GPT2LMHeadModel with the same start: the same losses."""
    from transformers import GPT2LMHeadModel

    tokens, recipe = some_tokens(1, 500)[0], Recipe(steps=8, batch=4, context=24, warm_up=2)
    theirs, runs = GPT2LMHeadModel.from_pretrained(saved), []
    for _ in range(2):
        ours = load_model(saved)
        runs.append(list(islice(lesson.training(ours, ours, tokens, recipe), 8)))
    assert runs[0] == runs[1]
    other = list(lesson.training(theirs, lambda batch: theirs(batch).logits, tokens, recipe))
    assert other == pytest.approx(runs[0], abs=1e-3)


def test_characters_are_split_as_nanogpt_splits_them(tmp_path: Path) -> None:
    (tmp_path / "data/tinyshakespeare").mkdir(parents=True)
    (tmp_path / "data/tinyshakespeare/input.txt").write_text("hello worldhello world", encoding="utf-8")
    train, validation, characters = lesson.shakespeare(tmp_path)
    assert characters.signs == sorted(" dehlorw") and (len(train), len(validation)) == (19, 3)
    assert characters.decode(torch.cat([train, validation]).tolist()) == "hello worldhello world"


@pytest.mark.slow
def test_it_runs_and_leaves_pictures(
    own_pictures: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it, with a sixth of the steps."""
    monkeypatch.setattr(lesson, "RECIPE", replace(lesson.RECIPE, steps=200))
    run_whole(lessons.find("08"), own_pictures, capsys)


@pytest.mark.slow
def test_it_learns_shakespeare_in_a_seventh_of_nanogpts_run(assets: Path) -> None:
    """A table of pairs of characters reaches 2.48; the whole run, and its 1.88, is that of tests.benchmarks.gpt."""
    train, validation, characters = lesson.shakespeare(assets)
    assert len(characters.signs) == 65 and (len(train), len(validation)) == (1_003_854, 111_540)
    model = random_gpt(Shape(65))
    for _ in lesson.training(model, model, train, Recipe(steps=300)):
        pass
    assert lesson.mean_loss(model, validation, 64) <= 2.4


def test_the_results_hold_what_the_readme_quotes() -> None:
    file = Path(lesson.__file__).parents[1] / "results/gpt.json"
    loops = json.loads(file.read_text(encoding="utf-8"))["loops"]
    assert all(loop["tokens_per_second"] and loop["validation_loss"] <= 1.88 for loop in loops.values())
