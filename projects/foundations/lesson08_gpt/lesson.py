"""GPT: a tokenizer, a decoder-only Transformer and a page of training make a model that writes.

Radford et al. (2018, 2019) trained one to predict the next token of any text, and found that this is enough. This
lesson does the same at a small size, on the docstrings of the installed packages, and saves the result in GPT-2's
format. The tokenizer is in tokenizer.py and the model in model.py; here they are trained and asked. Run it with
`kit learn 08`.
"""

import codecs
import importlib
import inspect
import math
import random
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from projects.foundations.lesson08_gpt.model import GPT, Cache, Shape, load_model, random_gpt, save_model
from projects.foundations.lesson08_gpt.tokenizer import END, Characters, Tokenizer, learn_merges, written

MODULES = (  # whose docstrings are the text
    *("numpy", "numpy.fft", "numpy.linalg", "numpy.ma", "numpy.polynomial", "numpy.random"),
    *(
        "scipy.cluster",
        "scipy.fft",
        "scipy.integrate",
        "scipy.interpolate",
        "scipy.linalg",
        "scipy.ndimage",
        "scipy.optimize",
    ),
    *("scipy.signal", "scipy.sparse", "scipy.spatial", "scipy.special", "scipy.stats"),
    *("sklearn.cluster", "sklearn.datasets", "sklearn.decomposition", "sklearn.ensemble", "sklearn.feature_extraction"),
    *(
        "sklearn.gaussian_process",
        "sklearn.linear_model",
        "sklearn.metrics",
        "sklearn.model_selection",
        "sklearn.naive_bayes",
    ),
    *("sklearn.neighbors", "sklearn.pipeline", "sklearn.preprocessing", "sklearn.svm", "sklearn.tree"),
)


def docstrings(modules: Iterable[str] = MODULES, characters: int = 1_200_000, seed: int = 0) -> list[str]:
    """Docstrings of what the modules offer, each once, up to that many characters in all.

    The seed fixes their random order. Their examples are left out: a small model cannot learn what was computed there.
    """
    found: dict[str, None] = {}
    for name in modules:
        module = importlib.import_module(name)
        for attribute in sorted(vars(module)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # some names are only kept to say that they will go
                thing = getattr(module, attribute)
            text = (
                inspect.getdoc(thing)
                if callable(thing) and hasattr(thing, "__name__") and not attribute.startswith("_")
                else None
            )
            prose = (text or "").partition("\nExamples\n---")[0].rstrip()
            if len(prose) > 200:
                found[prose] = None
    chosen, total = [], 0
    for text in random.Random(seed).sample(list(found), len(found)):
        total += len(text)
        if total > characters:
            break
        chosen.append(text)
    return chosen


def split(tokens: Tensor, share: float = 0.1) -> tuple[Tensor, Tensor]:
    """The first part for training, the last for validation.  (time,) -> (time,), (time,)"""
    place = int(len(tokens) * (1 - share))
    return tokens[:place], tokens[place:]


@dataclass(frozen=True)
class Recipe:
    """How to train; the defaults are those of nanoGPT's run on a CPU, but three times its learning rate did better."""

    steps: int = 2000
    batch: int = 12
    context: int = 64
    peak: float = 3e-3  # the learning rate after the warm-up
    lowest: float = 3e-4  # and at the end
    warm_up: int = 100
    beta2: float = 0.99  # AdamW's memory of squares: small batches need a longer one than large models use
    weight_decay: float = 0.1
    clip: float = 1.0


def learning_rate(step: int, recipe: Recipe) -> float:
    """A straight line up to the peak, then half a cosine down to the lowest (Loshchilov and Hutter 2017)."""
    if step < recipe.warm_up:
        return recipe.peak * (step + 1) / (recipe.warm_up + 1)
    done = (step - recipe.warm_up) / max(1, recipe.steps - recipe.warm_up)
    return recipe.lowest + (recipe.peak - recipe.lowest) * (1 + math.cos(math.pi * done)) / 2


Logits = Callable[[Tensor], Tensor]  # (batch, time) -> (batch, time, vocabulary)


def training(model: nn.Module, logits: Logits, tokens: Tensor, recipe: Recipe, seed: int = 0) -> Iterator[float]:
    """Train on random windows of the tokens (time,), and yield the loss of each step.

    `logits` calls the model, so that this loop can also train one from another library. Matrices decay, biases and
    normalisations do not (Radford et al. 2018, section 4.1); AdamW is Loshchilov and Hutter's (2019).
    """
    parameters = list(model.parameters())
    matrices, vectors = [p for p in parameters if p.ndim > 1], [p for p in parameters if p.ndim == 1]
    groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=recipe.peak, betas=(0.9, recipe.beta2), fused=True)
    generator, window = torch.Generator().manual_seed(seed), torch.arange(recipe.context + 1)
    model.train()
    for step in range(recipe.steps):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, recipe)
        starts = torch.randint(len(tokens) - recipe.context, (recipe.batch, 1), generator=generator)
        batch = tokens[starts + window]  # (batch, context + 1): the input, and one place further the answers
        loss = functional.cross_entropy(logits(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, recipe.clip)
        optimiser.step()
        yield loss.item()


@torch.no_grad()
def mean_loss(logits: Logits, tokens: Tensor, context: int) -> float:
    """The loss in nats for each token but the first, in consecutive windows of `context` places.

    tokens (time,), each asked once
    """
    whole = (len(tokens) - 1) // context * context
    inputs, answers = tokens[:whole].view(-1, context), tokens[1 : whole + 1].view(-1, context)
    parts = list(zip(inputs.split(32), answers.split(32), strict=True))
    if whole < len(tokens) - 1:
        parts.append((tokens[None, whole:-1], tokens[None, whole + 1 :]))
    total = sum(
        functional.cross_entropy(logits(x).flatten(0, 1), y.flatten(), reduction="sum").item() for x, y in parts
    )
    return total / (len(tokens) - 1)


def bits_per_byte(loss: float, tokens: int, length: int) -> float:
    """A loss in nats per token, as bits per byte of the text: only this compares across tokenizers."""
    return loss * tokens / length / math.log(2)


def count_losses(train: Tensor, validation: Tensor, vocabulary: int) -> dict[str, float]:
    """What counting reaches, in nats per token: no knowledge, each token's frequency, and that behind the one before.

    The last adds 20 made-up sightings, spread like the frequencies, to each token's followers (MacKay and Peto 1995),
    so that a pair that was never seen is not impossible. tokens (time,)
    """
    single = torch.bincount(train, minlength=vocabulary).double() + 1
    single /= single.sum()
    pairs = (
        torch.bincount(train[:-1] * vocabulary + train[1:], minlength=vocabulary**2)
        .view(vocabulary, vocabulary)
        .double()
    )
    before, after = validation[:-1], validation[1:]
    behind = (pairs[before, after] + 20 * single[after]) / (pairs.sum(dim=1)[before] + 20)
    frequency, pair = -single[after].log().mean().item(), -behind.log().mean().item()
    return {"all tokens alike": math.log(vocabulary), "frequency": frequency, "frequency behind the token before": pair}


@dataclass(frozen=True)
class Sampling:
    """How to choose the next token: temperature 0 takes the likeliest; top_k 0 and top_p 1 keep all."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """All but the k largest become -inf; what is equal to the last of them stays.  (..., vocabulary) -> the same"""
    return logits.masked_fill(logits < logits.topk(min(k, logits.shape[-1])).values[..., -1:], -math.inf)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """Keep the likeliest tokens that reach the share p together, at least one (Holtzman et al. 2020).

    The rest becomes -inf.  (..., vocabulary) -> the same. Where the model is sure few remain, where it is not, many.
    """
    ordered, order = logits.sort(descending=True)
    shares = torch.softmax(ordered, dim=-1)
    dropped = shares.cumsum(dim=-1) - shares >= p  # what comes before it has reached p
    dropped[..., 0] = False
    return logits.masked_fill(torch.zeros_like(dropped).scatter(-1, order, dropped), -math.inf)


def probabilities(logits: Tensor, sampling: Sampling) -> Tensor:
    """What the next token is drawn from: temperature first, then top-k, then top-p.  (..., vocabulary) -> the same"""
    if sampling.temperature == 0:
        return functional.one_hot(logits.argmax(dim=-1), logits.shape[-1]).to(logits.dtype)
    logits = logits / sampling.temperature
    if sampling.top_k:
        logits = keep_top_k(logits, sampling.top_k)
    if sampling.top_p < 1:
        logits = keep_top_p(logits, sampling.top_p)
    return torch.softmax(logits, dim=-1)


def first_seen(length: int, context: int) -> int:
    """Where the model's view of so many tokens begins: when the context is full, the view leaves half of it behind.

    One token each time would cost more: positions are learned, so whenever the view moves, all keys and values are
    computed anew.
    """
    half = (context + 1) // 2
    return 0 if length <= context else -(-(length - context) // half) * half


@torch.no_grad()
def generate(
    model: GPT, prompt: Sequence[int], count: int, sampling: Sampling | None = None, seed: int = 0, cached: bool = True
) -> Iterator[int]:
    """Yield `count` tokens that follow the prompt, one by one.

    The keys and values of a place depend only on what stands before it, so they stay as they are when a token is
    added. With the cache each step computes one place, without it all of them; both give the same logits.
    """
    tokens, generator, cache, begin = list(prompt), torch.Generator().manual_seed(seed), Cache(), 0
    for _ in range(count):
        if not cached or first_seen(len(tokens), model.shape.context) != begin:
            cache, begin = Cache(), first_seen(len(tokens), model.shape.context)
        logits = model(torch.tensor([tokens[begin + cache.length :]]), cache)[0, -1]  # (vocabulary,)
        tokens.append(int(torch.multinomial(probabilities(logits, sampling or Sampling()), 1, generator=generator)))
        yield tokens[-1]


def stream(
    model: GPT, tokenizer: Tokenizer, prompt: str, count: int = 100, sampling: Sampling | None = None, seed: int = 0
) -> Iterator[str]:
    """Yield what follows the prompt, piece by piece, until the document ends or `count` tokens are written.

    A sign of several bytes can lie in several tokens; it comes when it is whole.
    """
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    for token in generate(model, [tokenizer.end, *tokenizer.encode(prompt)], count, sampling, seed):
        if token == tokenizer.end:
            break
        if piece := decoder.decode(tokenizer.tokens[token]):
            yield piece
    if rest := decoder.decode(b"", final=True):
        yield rest


def save(model: GPT, tokenizer: Tokenizer, folder: Path) -> None:
    """Write model and tokenizer in GPT-2's format: AutoModelForCausalLM and AutoTokenizer read the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    save_model(model, tokenizer.end, folder)
    tokenizer.save(folder)


def load(folder: Path) -> tuple[GPT, Tokenizer]:
    """The model and the tokenizer that `save` has written."""
    return load_model(folder), Tokenizer.load(folder)


def shakespeare(assets: Path) -> tuple[Tensor, Tensor, Characters]:
    """tinyshakespeare (Karpathy 2015): 90 % for training, the last 10 % for validation, and its characters."""
    text = (assets / "data/tinyshakespeare/input.txt").read_text(encoding="utf-8")
    characters = Characters(text)
    return *split(torch.tensor(characters.encode(text))), characters


MERGES = 1000
LAYERS, TOKEN_SPREAD = 2, 0.08  # in short trials of equal time, these learned more than 4 layers or a spread of 0.02
RECIPE = Recipe(steps=1200, batch=4, context=128, peak=2e-3, lowest=2e-4, warm_up=50)


def main() -> None:
    """Train the tokenizer and the model, print what they do, draw it, and save both in runs/foundations/gpt."""
    texts = docstrings()
    tokenizer = train_tokenizer(texts)
    tokens = torch.tensor(tokenizer.encode(END + END.join(texts)))
    train, validation = split(tokens)
    length = sum(len(tokenizer.tokens[number]) for number in validation.tolist() if number != tokenizer.end)
    print(f"\n{len(texts):,} docstrings are {len(tokens):,} tokens; the last {len(validation):,} are for validation.")

    model = random_gpt(Shape(len(tokenizer.tokens), RECIPE.context, layers=LAYERS), token_spread=TOKEN_SPREAD)
    losses, curve = train_with_progress(model, train, validation)
    print("Validation loss: nats for each token, and bits for each byte of the text.")
    reached = {**count_losses(train, validation, len(tokenizer.tokens)), "this model": curve[-1][1]}
    for name, loss in reached.items():
        print(f"  {name:33}   {loss:.3f}   {bits_per_byte(loss, len(validation), length):.3f}")
    draw_loss(losses, curve, reached)

    print_samples(model, tokenizer)
    draw_sampling(model, tokenizer)
    compare_cache(model, tokenizer)
    save_and_compare(model, tokenizer)


def train_tokenizer(texts: Sequence[str]) -> Tokenizer:
    """Learn the merges, ours and the library's, and show what they do to a sentence."""
    started = time.perf_counter()
    merges = learn_merges(texts, MERGES)
    ours = time.perf_counter() - started
    started = time.perf_counter()
    library = library_merges(texts, MERGES)
    theirs = time.perf_counter() - started
    same = library == [(written(left), written(right)) for left, right in spelled(merges)]
    tokenizer = Tokenizer(merges)
    print(f"{sum(map(len, texts)):,} characters of docstrings: {len(merges)} merges in {ours:.1f} s.")
    print(f"The tokenizers library took {theirs:.1f} s, and its merges are {'the same' if same else 'OTHERS'}.")
    for rank in (0, 1, 2, 10, 100, MERGES - 1):
        left, right = (written(token) for token in spelled(merges)[rank])
        print(f"  merge {rank + 1:4}   {left} + {right} = {left}{right}")
    for text in ("Return the eigenvalues of a symmetric matrix.", "Ein Käse für 3 €"):
        print(f"  {text!r}: {' '.join(written(tokenizer.tokens[number]) for number in tokenizer.encode(text))}")
    return tokenizer


def spelled(merges: Sequence[tuple[int, int]]) -> list[tuple[bytes, bytes]]:
    """Each merge as the bytes of its two sides."""
    tokens = Tokenizer(merges).tokens
    return [(tokens[left], tokens[right]) for left, right in merges]


def library_merges(texts: Sequence[str], count: int) -> list[tuple[str, str]]:
    """What the `tokenizers` library learns from the same texts."""
    import json

    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    library = Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    library.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=256 + count, initial_alphabet=alphabet, show_progress=False)
    )
    return [(left, right) for left, right in json.loads(library.to_str())["model"]["merges"]]


def train_with_progress(model: GPT, train: Tensor, validation: Tensor) -> tuple[list[float], list[tuple[int, float]]]:
    """All losses of the training, and the steps and validation losses on the way."""
    from common.system.progress import track

    size = sum(parameter.numel() for parameter in model.parameters())
    print(f"A model of {size:,} parameters, {RECIPE.steps} steps of {RECIPE.batch} x {RECIPE.context} tokens:")
    started, losses, curve = time.perf_counter(), [], []
    for loss in track(training(model, model, train, RECIPE), "training", RECIPE.steps):
        losses.append(loss)
        if len(losses) in (50, 100) or len(losses) % 200 == 0:
            curve.append((len(losses), mean_loss(model, validation, RECIPE.context)))
            recent = sum(losses[-50:]) / 50
            print(f"  step {len(losses):4}   training loss {recent:.3f}   validation loss {curve[-1][1]:.3f}")
    seconds = time.perf_counter() - started
    speed = RECIPE.steps * RECIPE.batch * RECIPE.context / seconds
    print(f"  {seconds:.0f} s, {speed:,.0f} tokens a second, validation included\n")
    model.eval()
    return losses, curve


PROMPT = "Compute the"
WAYS = {
    "the likeliest each time": Sampling(temperature=0),
    "temperature 0.7, top-p 0.9": Sampling(temperature=0.7, top_p=0.9),
    "temperature 1, as the model says": Sampling(),
    "temperature 1.5": Sampling(temperature=1.5),
}


def print_samples(model: GPT, tokenizer: Tokenizer) -> None:
    """What the model writes, chosen in several ways."""
    for name, sampling in WAYS.items():
        text = PROMPT + "".join(stream(model, tokenizer, PROMPT, 80, sampling))
        print(f"\n{name}:\n" + "\n".join(f"  | {line}" for line in text.splitlines() if line.strip()))


def compare_cache(model: GPT, tokenizer: Tokenizer) -> None:
    """Tokens a second with and without the cache, in turns; the best of three, since other programs may run, too."""
    prompt, seconds, texts = [tokenizer.end], {True: math.inf, False: math.inf}, {}
    for _ in range(3):
        for cached in seconds:
            started = time.perf_counter()
            texts[cached] = list(generate(model, prompt, model.shape.context, cached=cached))
            seconds[cached] = min(seconds[cached], time.perf_counter() - started)
    with_cache, without = (model.shape.context / seconds[cached] for cached in (True, False))
    same = "the same tokens" if texts[True] == texts[False] else "OTHER TOKENS"
    print(
        f"\n{model.shape.context} tokens with the cache: {with_cache:,.0f} a second, without {without:,.0f}: "
        f"{with_cache / without:.1f} times as fast, {same}."
    )


@torch.no_grad()
def save_and_compare(model: GPT, tokenizer: Tokenizer) -> None:
    """Save both, load them with transformers, and compare logits and ids."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from projects.foundations import lessons

    folder = lessons.PICTURES / "gpt"
    save(model, tokenizer, folder)
    theirs, ids = (
        AutoModelForCausalLM.from_pretrained(folder).eval(),
        AutoTokenizer.from_pretrained(folder)(PROMPT)["input_ids"],
    )
    tokens = torch.tensor([tokenizer.encode(PROMPT)])
    difference = (theirs(tokens).logits - model(tokens)).abs().max()
    same = "the same ids" if ids == tokens[0].tolist() else "OTHER IDS"
    print(f"saved: {folder}; transformers reads it: {same}, largest difference of the logits {difference:.0e}.")


def draw_loss(losses: list[float], curve: list[tuple[int, float]], reached: dict[str, float]) -> None:
    """Training and validation loss by step, and what counting reaches."""
    from matplotlib.figure import Figure

    from projects.foundations.lessons import save_picture

    figure = Figure(figsize=(9.5, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot(range(1, len(losses) + 1), losses, color="#bfdbfe", linewidth=0.8, label="training, each batch")
    axes.plot(*zip(*curve, strict=True), "o-", color="#1d4ed8", markersize=4, label="validation")
    for name, loss in reached.items():
        ours = name == "this model"
        axes.annotate(
            f"{name}: {loss:.2f}",
            (1.01 * len(losses), loss),
            va="center",
            fontsize=9,
            color="#1d4ed8" if ours else "#4b5563",
            annotation_clip=False,
        )
        if not ours:
            axes.axhline(loss, color="#9ca3af", linewidth=1, linestyle="--")
    axes.set(xlabel="step", ylabel="nats for each token", xlim=(0, 1.005 * len(losses)), ylim=(2, 10))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper center")
    save_picture(figure, "lesson08_loss")


@torch.no_grad()
def draw_sampling(model: GPT, tokenizer: Tokenizer) -> None:
    """What the next token is drawn from, in four ways, where the model is unsure and where it is surer."""
    from matplotlib.figure import Figure

    from projects.foundations.lessons import save_picture

    ways = {
        "as the model says": Sampling(),
        "temperature 0.5": Sampling(temperature=0.5),
        "top-k 5": Sampling(top_k=5),
        "top-p 0.7": Sampling(top_p=0.7),
    }
    figure, prompts = Figure(figsize=(11, 6.4), layout="constrained"), ("The number of", "x : array")
    for row, prompt in zip(figure.subplots(2, 4, sharex="row", sharey="row"), prompts, strict=True):
        logits = model(torch.tensor([[tokenizer.end, *tokenizer.encode(prompt)]]))[0, -1]
        best = logits.topk(12).indices
        for axes, (name, sampling) in zip(row, ways.items(), strict=True):
            shares = probabilities(logits, sampling)
            axes.barh(range(12), shares[best], color="#2563eb")
            axes.set_title(f"{name}: {int((shares > 0).sum()):,} possible", fontsize=10)
            axes.set_yticks(range(12), [written(tokenizer.tokens[number]) for number in best.tolist()])
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(axis="y", length=0)
        row[0].invert_yaxis()
        row[0].set_ylabel(f"after {prompt!r}")
    figure.supxlabel("probability of the next token (Ġ is a space, Ċ a new line)", fontsize=10)
    save_picture(figure, "lesson08_sampling")


if __name__ == "__main__":
    main()
