"""Attention: a soft look-up, in which each place of a sequence asks all the others and mixes their answers.

Bahdanau, Cho and Bengio (2015) let a translator look back at the whole sentence; Vaswani et al. (2017) gave the look-up
the form of this file: queries, keys, values and many heads. Lesson 4 earned autograd, so from here on the arrays are
PyTorch's. Run it with `kit learn 06`.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor


def attention_weights(query: Tensor, key: Tensor, mask: Tensor | None = None) -> Tensor:
    """How much each query looks at each key: softmax of query · key / √head_size, along the keys (Vaswani et al. 2017).

    query (..., queries, head_size), key (..., keys, head_size) -> (..., queries, keys). The mask is True where a query
    may look, in any shape that broadcasts to the weights'. Each query needs such a key: a softmax over nothing is nan.
    """
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])  # (batch, heads, queries, keys)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)  # exp(-inf) is 0 exactly, and the others still sum to 1
    return torch.softmax(scores, dim=-1)


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The look-up: the mean of the values under the weights, and the weights.

    (..., queries, head_size), (..., queries, keys)
    """
    weights = attention_weights(query, key, mask)
    return weights @ value, weights  # (batch, heads, queries, keys) @ (batch, heads, keys, head_size)


def causal_mask(time: int) -> Tensor:
    """True where the row's place may look at the column's: itself and what came before.  (time, time)"""
    return torch.ones(time, time, dtype=torch.bool).tril()


def padding_mask(lengths: Tensor, time: int) -> Tensor:
    """True at the tokens, False at the padding behind.  (batch,) -> (batch, 1, 1, time), for all heads and queries."""
    return (torch.arange(time) < lengths[:, None])[:, None, None]


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(batch, time, width) -> (batch, heads, time, head_size), where head_size is width / heads."""
    batch, time, width = x.shape
    return x.view(batch, time, heads, width // heads).transpose(1, 2)


def join_heads(x: Tensor) -> Tensor:
    """What undoes `split_heads`: (batch, heads, time, head_size) -> (batch, time, width)."""
    return x.transpose(1, 2).flatten(2)


class Projections(NamedTuple):
    """The four matrices that one layer of attention learns, each (width, width); row times matrix is the projection."""

    query: Tensor
    key: Tensor
    value: Tensor
    output: Tensor


def random_projections(width: int, generator: torch.Generator) -> Projections:
    """Random matrices, divided by √width, so that a projection is as large as what it is made from."""
    return Projections(*(torch.randn(width, width, generator=generator) / math.sqrt(width) for _ in range(4)))


def multi_head_attention(
    x: Tensor, projections: Projections, heads: int, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Self-attention with many heads (Vaswani et al. 2017).

    (batch, time, width) -> the same, and the weights (batch, heads, time, time). Each head has its own columns of the
    matrices, so it looks for its own thing; the output matrix mixes what they found.
    """
    # All three are (batch, heads, time, head_size).
    query, key, value = (split_heads(x @ matrix, heads) for matrix in projections[:3])
    found, weights = attend(query, key, value, mask)  # (batch, heads, time, head_size)
    return join_heads(found) @ projections.output, weights


def positions(time: int, width: int) -> Tensor:
    """A sine and a cosine for each of width / 2 speeds, from 1 down to nearly 1/10000 (Vaswani et al. 2017).

    (time, width)
    """
    speeds = 10_000 ** (-torch.arange(0, width, 2) / width)  # (width / 2,)
    angles = torch.arange(time)[:, None] * speeds  # (time, width / 2)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)


def shift_matrix(shift: int, width: int) -> Tensor:
    """The matrix that moves every position by `shift`: positions(t) @ matrix = positions(t + shift).  (width, width)

    Each pair of sine and cosine turns by its own angle, and the angle does not depend on t.
    """
    angles = shift * 10_000 ** (-torch.arange(0, width, 2) / width)
    return torch.block_diag(
        *(torch.tensor([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]]) for a in angles.tolist())
    )


def score_spread(head_size: int, divided: bool, seed: int = 0) -> tuple[float, float]:
    """Random queries, 16 random keys for each: the scores' standard deviation, and the mean of the largest weight."""
    generator = torch.Generator().manual_seed(seed)
    query, key = (
        torch.randn(2000, 1, head_size, generator=generator),
        torch.randn(2000, 16, head_size, generator=generator),
    )
    scores = query @ key.transpose(-2, -1) / (math.sqrt(head_size) if divided else 1)  # (2000, 1, 16)
    return scores.std().item(), torch.softmax(scores, dim=-1).max(dim=-1).values.mean().item()


TOKENS = 8  # the task's vocabulary; a sequence has 8 places to read and 7 to answer at


def follow_task(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Sequences (count, 15) and answers (count, 7): all tokens in random order, then all but the last in another.

    At each place of the second part the answer is the token that followed this one in the first part.
    """
    first = torch.rand(count, TOKENS, generator=generator).argsort(dim=1)  # a random order in each row
    asked = torch.rand(count, TOKENS - 1, generator=generator).argsort(dim=1)  # places in it, but for the last
    return torch.cat([first, first.gather(1, asked)], dim=1), first.gather(1, asked + 1)


class Reader(NamedTuple):
    """Two layers of attention with one head each.

    Before them is an embedding (tokens, width / 2), behind them a read-out (width, tokens).
    """

    embedding: Tensor
    layers: tuple[Projections, Projections]
    readout: Tensor

    def parameters(self) -> list[Tensor]:
        """All that is learned."""
        return [self.embedding, *self.layers[0], *self.layers[1], self.readout]


def random_reader(width: int = 64, seed: int = 0) -> Reader:
    """A reader that has learned nothing yet."""
    generator = torch.Generator().manual_seed(seed)
    embedding, readout = (
        torch.randn(TOKENS, width // 2, generator=generator),
        torch.randn(width, TOKENS, generator=generator) / math.sqrt(width),
    )
    return Reader(embedding, (random_projections(width, generator), random_projections(width, generator)), readout)


def read(reader: Reader, tokens: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Logits for the places of the second part, (batch, 7, tokens), and each layer's weights, (batch, 1, time, time).

    A place is described by its token in one half of its numbers and by its position in the other. What a layer finds is
    added to what was there, so the second layer sees both.
    """
    embedded = reader.embedding[tokens]  # (batch, time, width / 2)
    batch, time, half = embedded.shape
    x = torch.cat([embedded, positions(time, half).expand(batch, -1, -1)], dim=-1)  # (batch, time, width)
    all_weights = []
    for projections in reader.layers:
        found, weights = multi_head_attention(x, projections, heads=1, mask=causal_mask(time))
        x = x + found
        all_weights.append(weights)
    return (x @ reader.readout)[:, TOKENS:], all_weights


def train(steps: int = 300, step_size: float = 6e-3, seed: int = 0) -> tuple[Reader, list[float]]:
    """Adam on fresh sequences at each step, 64 at a time: the reader, and the loss of every step."""
    generator, reader, losses = torch.Generator().manual_seed(seed), random_reader(seed=seed), []
    optimiser = torch.optim.Adam([parameter.requires_grad_() for parameter in reader.parameters()], lr=step_size)
    for _ in range(steps):
        tokens, answers = follow_task(64, generator)
        loss = torch.nn.functional.cross_entropy(read(reader, tokens)[0].flatten(0, 1), answers.flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return reader, losses


@torch.no_grad()
def accuracy(reader: Reader, count: int = 1000, seed: int = 1_000_000) -> float:
    """The share of right answers on sequences of another seed than the training's.

    There are 8! · 7! of them, so hardly one is seen twice.
    """
    tokens, answers = follow_task(count, torch.Generator().manual_seed(seed))
    return (read(reader, tokens)[0].argmax(dim=-1) == answers).double().mean().item()


SENTENCE = "The cat drank the milk because it was thirsty."


@torch.no_grad()
def sentence_weights(sentence: str = SENTENCE) -> tuple[list[str], Tensor]:
    """The tokens of a sentence, and the weights of the pretrained MiniLM encoder (Wang et al. 2020) on it.

    (layers, heads, time, time)
    """
    from transformers import AutoModel, AutoTokenizer

    from common.models.pretrained import pretrained

    folder = pretrained("starter:minilm-l6").folder
    tokenizer = AutoTokenizer.from_pretrained(folder)
    # The faster implementations never write the weights down.
    encoder = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    batch = tokenizer(sentence, return_tensors="pt")
    # One sentence: its batch axis becomes the layers.
    weights = torch.cat(encoder(**batch, output_attentions=True).attentions)
    return [str(tokenizer.decode([number])) for number in batch["input_ids"][0].tolist()], weights


@torch.no_grad()
def main() -> None:
    """Print what each idea gives in numbers, and draw the weights."""
    print("Random queries and 16 random keys: spread of the scores, and the largest of the 16 weights.")
    for head_size in (4, 16, 64, 256):
        (raw, raw_top), (divided, top) = score_spread(head_size, divided=False), score_spread(head_size, divided=True)
        print(
            f"  head size {head_size:3}   as they are {raw:5.1f}, {raw_top:.2f}   "
            f"divided by the root {divided:.1f}, {top:.2f}"
        )
    compare_with_the_library()

    generator = torch.Generator().manual_seed(0)
    x, projections, order = (
        torch.randn(1, 10, 16, generator=generator),
        random_projections(16, generator),
        torch.randperm(10, generator=generator),
    )
    print("\nShuffle the tokens: do the outputs come out shuffled the same way, and otherwise unchanged?")
    for name, place in (("without positions", torch.zeros(10, 16)), ("with positions", positions(10, 16))):
        shuffled, kept = (multi_head_attention(tokens + place, projections, heads=2)[0] for tokens in (x[:, order], x))
        print(f"  {name:17}   largest difference {(shuffled - kept[:, order]).abs().max():.0e}")

    print("\nWhat followed this token the first time? Two layers, one head each; held-out sequences.")
    with torch.enable_grad():
        reader, losses = train()
    for step in range(0, len(losses), 50):
        print(f"  steps {step + 1:3} to {step + 50:3}   mean loss {sum(losses[step : step + 50]) / 50:.3f}")
    print(
        f"  held-out accuracy {accuracy(reader):.3f}, before training {accuracy(random_reader()):.3f}, "
        f"by chance {1 / TOKENS:.3f}"
    )
    draw_task(reader)
    draw_sentence()


def compare_with_the_library() -> None:
    """Our one head and our many heads beside PyTorch's, with the same weights."""
    generator = torch.Generator().manual_seed(0)
    query, key, value = torch.randn(3, 2, 4, 9, 8, generator=generator)  # each (batch, heads, time, head_size)
    theirs = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
    one = (attend(query, key, value, causal_mask(9))[0] - theirs).abs().max()
    x, projections = torch.randn(2, 9, 32, generator=generator), random_projections(32, generator)
    many = (
        (multi_head_attention(x, projections, heads=4)[0] - library_attention(projections, 4)(x, x, x)[0]).abs().max()
    )
    print(f"\nLargest difference to PyTorch: one look-up {one:.0e}, four heads with the same weights {many:.0e}.")


def library_attention(projections: Projections, heads: int) -> torch.nn.MultiheadAttention:
    """torch.nn.MultiheadAttention with our matrices; it keeps the transposes, the first three on top of each other."""
    module = torch.nn.MultiheadAttention(
        len(projections.query), heads, bias=False, batch_first=True, dtype=projections.query.dtype
    )
    with torch.no_grad():
        module.in_proj_weight.copy_(torch.cat([matrix.T for matrix in projections[:3]]))
        module.out_proj.weight.copy_(projections.output.T)
    return module


def draw_weights(panels: list[tuple[str, list[str], Tensor]], name: str) -> None:
    """One square of weights for each panel (title, labels, (time, time)): the row looks, the column is looked at."""
    from matplotlib.figure import Figure

    from projects.foundations.lessons import save_picture

    figure = Figure(figsize=(5.4 * len(panels) + 0.8, 5.8), layout="constrained")
    many_axes = figure.subplots(1, len(panels))
    for axes, (title, labels, weights) in zip(many_axes, panels, strict=True):
        image = axes.imshow(weights, cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(labels)), labels, rotation=90 if len(max(labels, key=len)) > 1 else 0)
        axes.set_yticks(range(len(labels)), labels)
        axes.set_title(title, fontsize=11)
        axes.set(xlabel="looked at", ylabel="looks")
        axes.spines[:].set_color("#d1d5db")
        axes.tick_params(length=0)
    figure.colorbar(image, ax=many_axes, label="weight", shrink=0.8)
    save_picture(figure, name)


def draw_task(reader: Reader) -> None:
    """Both layers of the learned task on one held-out sequence."""
    tokens, _ = follow_task(1, torch.Generator().manual_seed(1_000_000))
    (first, second), labels = read(reader, tokens)[1], ["ABCDEFGH"[token] for token in tokens[0].tolist()]
    titles = "Layer 1: mostly itself and the place before", "Layer 2, last 7 rows: all letters but the answer"
    draw_weights(
        [(title, labels, weights[0, 0]) for title, weights in zip(titles, (first, second), strict=True)],
        "lesson06_task",
    )


HEADS = ((0, 2, "one place back"), (5, 11, "the two nouns"))  # layer and head of MiniLM, counted from 0


def draw_sentence() -> None:
    """Two heads of the pretrained encoder on a sentence."""
    tokens, weights = sentence_weights()
    panels = [
        (f"MiniLM, layer {layer + 1}, head {head + 1}: {what}", tokens, weights[layer, head])
        for layer, head, what in HEADS
    ]
    draw_weights(panels, "lesson06_sentence")


if __name__ == "__main__":
    main()
