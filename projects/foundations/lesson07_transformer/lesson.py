"""The Transformer: an encoder that reads, a decoder that writes, and nothing between them but attention.

Vaswani et al. (2017), "Attention Is All You Need". Here it learns to write dates as 1987-05-03, however somebody spelt
them. The same encoder then takes the weights of MiniLM, a pretrained model. Run it with `kit learn 07`.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import torch
from torch import Tensor, nn

from common.system.progress import track
from projects.foundations.lesson07_transformer.dates import (
    BEGIN,
    END,
    FORMS,
    PAD,
    TOKENS,
    days,
    sample,
    spell,
    split_days,
    text_of,
    tokenise,
)


@dataclass(frozen=True)
class Architecture:
    """Sizes, and what models chose differently; the defaults are the choices of Vaswani et al. (2017), in a small size.

    `width` is the paper's d_model, `hidden` its d_ff. BERT (Devlin et al. 2019), and so MiniLM, has gelu in place of
    relu. The paper's dropout is 0.1. Nothing can be learnt by heart from dates that are drawn afresh at each step, so
    it is 0 here.
    """

    width: int = 64
    heads: int = 4
    hidden: int = 256
    layers: int = 2
    activation: str = "relu"
    pre_norm: bool = False
    dropout: float = 0.0
    epsilon: float = 1e-5


class MultiHeadAttention(nn.Module):
    """Lesson 6's attention, with queries that may come from elsewhere than keys and values (section 3.2.2).

    The paper's matrices have no biases. PyTorch's and BERT's have them, so these do.
    """

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.heads = a.heads
        self.query, self.key, self.value, self.output = (nn.Linear(a.width, a.width) for _ in range(4))

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        """Where the mask is True, x looks at memory.

        (batch, queries, width), (batch, keys, width) -> (batch, queries, width)
        """
        query, key, value = (self.split(part) for part in (self.query(x), self.key(memory), self.value(memory)))
        scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])  # (batch, heads, queries, keys)
        weights = scores.masked_fill(~mask, -math.inf).softmax(dim=-1)
        self.weights = weights.detach()  # for the picture only
        return self.output((weights @ value).transpose(1, 2).flatten(2))

    def split(self, x: Tensor) -> Tensor:
        """(batch, time, width) -> (batch, heads, time, width / heads)"""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class FeedForward(nn.Module):
    """Lesson 4's network, the same at each place (section 3.3): (batch, time, width) -> the same."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(a.width, a.hidden), nn.Linear(a.hidden, a.width)
        self.bend = {"relu": nn.ReLU, "gelu": nn.GELU}[a.activation]()

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.bend(self.first(x)))


class Residual(nn.Module):
    """What a sublayer finds is added to what was there; LayerNorm keeps the sum at one size.

    (batch, time, width) -> the same. The paper takes the norm after the addition (section 3.1). Nearly all of today's
    models take it before the sublayer, so that what was there is handed on untouched through all layers (Xiong et al.
    2020).
    """

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.norm, self.dropout, self.pre_norm = nn.LayerNorm(a.width, eps=a.epsilon), nn.Dropout(a.dropout), a.pre_norm

    def forward(self, x: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
        if self.pre_norm:
            return x + self.dropout(sublayer(self.norm(x)))
        return self.norm(x + self.dropout(sublayer(x)))


class EncoderLayer(nn.Module):
    """Look at the whole source, then think at each place."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.attention, self.feed_forward = MultiHeadAttention(a), FeedForward(a)
        self.residuals = nn.ModuleList(Residual(a) for _ in range(2))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (batch, time, width), mask (batch, 1, 1, time) -> (batch, time, width)"""
        x = self.residuals[0](x, lambda seen: self.attention(seen, seen, mask))
        return self.residuals[1](x, self.feed_forward)


class DecoderLayer(nn.Module):
    """Look back at what is written, look at the source, then think at each place."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.attention, self.cross_attention, self.feed_forward = (
            MultiHeadAttention(a),
            MultiHeadAttention(a),
            FeedForward(a),
        )
        self.residuals = nn.ModuleList(Residual(a) for _ in range(3))

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor, memory_mask: Tensor) -> Tensor:
        """x (batch, written, width), memory (batch, time, width) -> like x

        The masks are (written, written) and (batch, 1, 1, time).
        """
        x = self.residuals[0](x, lambda seen: self.attention(seen, seen, mask))
        x = self.residuals[1](x, lambda seen: self.cross_attention(seen, memory, memory_mask))
        return self.residuals[2](x, self.feed_forward)


def last_norm(a: Architecture) -> nn.Module:
    """Pre-norm leaves the last sum as it is, of any size, so one more norm follows the last layer."""
    return nn.LayerNorm(a.width, eps=a.epsilon) if a.pre_norm else nn.Identity()


class Encoder(nn.Module):
    """A stack of encoder layers: (batch, time, width) and a mask (batch, 1, 1, time) -> (batch, time, width)."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.layers, self.norm = nn.ModuleList(EncoderLayer(a) for _ in range(a.layers)), last_norm(a)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, mask)
        return self.norm(x)


class Decoder(nn.Module):
    """A stack of decoder layers, each of which looks at the same memory; shapes as in a layer."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.layers, self.norm = nn.ModuleList(DecoderLayer(a) for _ in range(a.layers)), last_norm(a)

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor, memory_mask: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, memory, mask, memory_mask)
        return self.norm(x)


def positions(time: int, width: int) -> Tensor:
    """Lesson 6's sines and cosines (section 3.5): (time, width)"""
    angles = torch.arange(time)[:, None] * 10_000 ** (-torch.arange(0, width, 2) / width)  # (time, width / 2)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)


def causal_mask(time: int) -> Tensor:
    """True at the row's own place and before it, so that nothing written depends on what comes later.  (time, time)"""
    return torch.ones(time, time, dtype=torch.bool).tril()


class Transformer(nn.Module):
    """Encoder and decoder (section 3), with one embedding for source, target and output (section 3.4)."""

    def __init__(self, a: Architecture, tokens: int) -> None:
        super().__init__()
        self.width, self.dropout = a.width, nn.Dropout(a.dropout)
        self.embedding, self.encoder, self.decoder = nn.Embedding(tokens, a.width), Encoder(a), Decoder(a)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)  # lesson 5's Glorot
        nn.init.normal_(self.embedding.weight, std=a.width**-0.5)

    def embed(self, tokens: Tensor) -> Tensor:
        """(batch, time) -> (batch, time, width). Times the root of the width, embeddings are as large as positions."""
        return self.dropout(self.embedding(tokens) * math.sqrt(self.width) + positions(tokens.shape[1], self.width))

    def encode(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, time) -> the memory (batch, time, width) and its mask (batch, 1, 1, time), False at padding."""
        mask = (source != PAD)[:, None, None]
        return self.encoder(self.embed(source), mask), mask

    def decode(self, written: Tensor, memory: Tensor, memory_mask: Tensor) -> Tensor:
        """Logits of the token that follows each written one: (batch, written) -> (batch, written, tokens)."""
        x = self.decoder(self.embed(written), memory, causal_mask(written.shape[1]), memory_mask)
        return x @ self.embedding.weight.T

    def forward(self, source: Tensor, written: Tensor) -> Tensor:
        """Logits of the token after each written one: (batch, time), (batch, written) -> (batch, written, tokens)."""
        return self.decode(written, *self.encode(source))


def learning_rate(step: int, width: int, warm_up: int) -> float:
    """Up along a line for `warm_up` steps, then down with the root of the step, which counts from 1 (section 5.3)."""
    return width**-0.5 * min(step**-0.5, step * warm_up**-1.5)


def smoothed_loss(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy against a target that gives a share `smoothing` of its certainty to all tokens alike (section 5.4).

    logits (batch, time, tokens), targets (batch, time) -> the mean over all targets but padding.
    """
    log_p = logits.log_softmax(dim=-1)  # (batch, time, tokens)
    right = log_p.gather(-1, targets[..., None])[..., 0]  # (batch, time)
    losses = -(1 - smoothing) * right - smoothing * log_p.mean(dim=-1)
    return losses[targets != PAD].mean()


def lowest_loss(tokens: int, smoothing: float) -> float:
    """The smoothed loss of a model that gives exactly the smoothed target: the target's entropy. It is not 0."""
    other = smoothing / tokens
    right = 1 - smoothing + other
    return -right * math.log(right) - ((tokens - 1) * other * math.log(other) if other else 0.0)


@torch.no_grad()
def greedy(model: Transformer, source: Tensor, limit: int = 12) -> Tensor:
    """Write the likeliest token, and read it when choosing the next: (batch, time) -> (batch, at most `limit`)."""
    memory, mask = model.encode(source)  # read once
    written = torch.full((len(source), 1), BEGIN)
    while written.shape[1] <= limit and not (written == END).any(dim=1).all():
        following = model.decode(written, memory, mask)[:, -1].argmax(dim=-1)  # (batch,)
        written = torch.cat([written, following[:, None]], dim=1)
    return written[:, 1:]


def write_dates(model: Transformer, texts: list[str]) -> list[str]:
    """What the model makes of each text."""
    return [text_of(row) for row in greedy(model, tokenise(texts)).tolist()]


def exact_match(model: Transformer, known: list[date], count: int, seed: int = 1_000_000) -> float:
    """The share of random days in random forms that are written without one wrong character."""
    texts, right = sample(known, count, torch.Generator().manual_seed(seed))
    return sum(ours == theirs for ours, theirs in zip(write_dates(model, texts), right, strict=True)) / count


@contextmanager
def repeatable(seed: int) -> Iterator[None]:
    """The same random numbers and sums in each run, and everybody else's settings as they were afterwards."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more of them add in another order
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)


class Trained(NamedTuple):
    """A model, the loss of every step, and the share of held-out dates that were right after some of the steps."""

    model: Transformer
    losses: list[float]
    measured: dict[int, float]


STEPS, WARM_UP, BATCH, SMOOTHING = 900, 200, 64, 0.1
EVERY, MEASURED_ON = 100, 200  # measure after so many steps, on so many held-out dates
SCALE = 0.5  # of the paper's learning rate, which at a width of 64 is higher than so short a training can take
KEPT, APART = 5, 20  # checkpoints that are averaged at the end, and the steps between them


def train(steps: int = STEPS, a: Architecture = Architecture(), seed: int = 0) -> Trained:
    """Adam as in section 5.3, on fresh random dates at each step; at the end the mean of the last weights (6.1)."""
    known, held_out = split_days()
    generator = torch.Generator().manual_seed(seed)
    losses: list[float] = []
    measured: dict[int, float] = {}
    kept: list[dict[str, Tensor]] = []
    with repeatable(seed):
        model = Transformer(a, TOKENS)
        optimiser = torch.optim.Adam(model.parameters(), betas=(0.9, 0.98), eps=1e-9)
        for step in track(range(1, steps + 1), "training"):
            texts, right = sample(known, BATCH, generator)
            answers, edge = tokenise(right), torch.ones(BATCH, 1, dtype=torch.long)  # (batch, 10), (batch, 1)
            # The decoder reads the right characters, not its own, so all of them are asked for at once.
            logits = model(tokenise(texts), torch.cat([BEGIN * edge, answers], dim=1))  # (batch, 11, tokens)
            loss = smoothed_loss(logits, torch.cat([answers, END * edge], dim=1), SMOOTHING)
            optimiser.param_groups[0]["lr"] = SCALE * learning_rate(step, a.width, WARM_UP)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
            if step > steps - KEPT * APART and (steps - step) % APART == 0:
                kept.append({name: weights.clone() for name, weights in model.state_dict().items()})
            if step % EVERY == 0:
                model.eval()  # without dropout, where there is some
                measured[step] = exact_match(model, held_out, MEASURED_ON)
                model.train()
        model.load_state_dict({name: torch.stack([weights[name] for weights in kept]).mean(dim=0) for name in kept[0]})
    return Trained(model.eval(), losses, measured)


def gradient_sizes(pre_norm: bool, layers: int = 12, seed: int = 0) -> list[float]:
    """The norm of the first gradient by the last matrix of each decoder layer, (layers,) (Xiong et al. 2020)."""
    with repeatable(seed):
        model = Transformer(Architecture(layers=layers, pre_norm=pre_norm), TOKENS)
        texts, right = sample(split_days()[0], 64, torch.Generator().manual_seed(seed))
        answers = tokenise(right)
        smoothed_loss(model(tokenise(texts), answers[:, :-1]), answers[:, 1:], 0.0).backward()
    matrices = [model.decoder.get_parameter(f"layers.{number}.feed_forward.second.weight") for number in range(layers)]
    return [matrix.grad.norm().item() for matrix in matrices if matrix.grad is not None]


def main() -> Trained:
    """Print what each idea gives in numbers, draw the pictures, and return what was trained."""
    print("The learning rate of the paper (width 512, 4000 steps of warm-up), and of this lesson:")
    for step in (1, 100, 1000, 4000, 100_000):
        ours = SCALE * learning_rate(step, Architecture.width, WARM_UP)
        print(f"  step {step:6}   {learning_rate(step, 512, 4000):.1e}   {ours:.1e}")

    print(
        "\nBefore training, 12 layers: "
        "the size of the gradient in the first, the middle and the last layer of the decoder."
    )
    sizes = {name: gradient_sizes(pre_norm) for name, pre_norm in (("post-norm", False), ("pre-norm", True))}
    for name, found in sizes.items():
        print(f"  {name:9}   {found[0]:.3f}   {found[5]:.3f}   {found[11]:.3f}")

    known, held_out = split_days()
    print(
        f"\nDates in {len(FORMS)} forms: {len(known)} days to learn from, {len(held_out)} held out. "
        f"{STEPS} steps of {BATCH} dates."
    )
    started = time.perf_counter()
    trained = train()
    for step, share in trained.measured.items():
        mean_loss = sum(trained.losses[step - EVERY : step]) / EVERY
        print(f"  step {step:4}   mean loss {mean_loss:.3f}   held-out dates without a mistake {share:.3f}")
    mean = exact_match(trained.model, held_out, MEASURED_ON)
    print(
        f"  mean of the last {KEPT} checkpoints, on the same {MEASURED_ON} dates {mean:.3f}   "
        f"({time.perf_counter() - started:.0f} s)"
    )
    print_what_it_learned(trained.model, held_out)
    draw_training(trained)
    draw_alignment(trained.model, held_out)
    return trained


def print_what_it_learned(model: Transformer, held_out: list[date]) -> None:
    """Held-out dates, the share of them that is right, and where it ends."""
    for form in range(len(FORMS)):
        text = spell(held_out[form], form)
        print(f"  {text:38} {write_dates(model, [text])[0]}")
    print(f"2000 held-out dates without a mistake: {exact_match(model, held_out, 2000):.4f}")
    print(f"500 dates of the years 1700 to 1799, which it never saw: {exact_match(model, days(1700, 1799), 500):.3f}")


def draw_training(trained: Trained) -> None:
    """Loss and learning rate at each step, and the held-out dates that are right."""
    from matplotlib.figure import Figure

    from projects.foundations.lessons import save_picture

    figure = Figure(figsize=(11, 3.6), layout="constrained")
    panels, steps = figure.subplots(1, 3), range(1, len(trained.losses) + 1)
    panels[0].plot(steps, [SCALE * learning_rate(step, Architecture.width, WARM_UP) for step in steps], color="#2563eb")
    panels[0].set(title="Learning rate", ylim=(0, None))
    panels[1].plot(steps, trained.losses, color="#2563eb", linewidth=1)
    floor = lowest_loss(TOKENS, SMOOTHING)
    panels[1].axhline(floor, color="#9ca3af", linestyle="--")
    panels[1].annotate(
        f"{floor:.2f}: the lowest that smoothing allows",
        (steps[-1], floor),
        (0, -4),
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=9,
        color="#4b5563",
    )
    panels[1].set(title="Smoothed loss on the training dates", ylim=(0, None))
    panels[2].plot(list(trained.measured), list(trained.measured.values()), "o-", color="#2563eb", markersize=4)
    panels[2].set(title="Held-out dates without a mistake", ylim=(0, 1.04), xlim=(0, None))
    for axes in panels:
        axes.set_xlabel("step")
        axes.spines[["top", "right"]].set_visible(False)
    save_picture(figure, "lesson07_training")


@torch.no_grad()
def draw_alignment(model: Transformer, held_out: list[date]) -> None:
    """Where the decoder's last layer looks in the source while it writes each character; the mean of its heads."""
    from matplotlib.figure import Figure

    from projects.foundations.lessons import save_picture

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    many_axes, last = figure.subplots(1, 2, width_ratios=(13, 20)), model.decoder.layers[-1]
    assert isinstance(last, DecoderLayer)
    for axes, form in zip(many_axes, (1, 3), strict=True):
        source = spell(held_out[form], form)
        written = write_dates(model, [source])[0]
        model(tokenise([source]), torch.cat([torch.tensor([[BEGIN]]), tokenise([written])[:, :-1]], dim=1))
        weights = last.cross_attention.weights[0].mean(dim=0)  # (written, time)
        image = axes.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        axes.set_xticks(range(len(source)), list(source.replace(" ", "␣")))
        axes.set_yticks(range(len(written)), list(written))
        axes.set(title=f"{source}  →  {written}", xlabel="read")
        axes.spines[:].set_color("#d1d5db")
        axes.tick_params(length=0)
    many_axes[0].set_ylabel("written, from the top")
    figure.colorbar(image, ax=many_axes, label="weight")
    save_picture(figure, "lesson07_alignment")


if __name__ == "__main__":
    main()
