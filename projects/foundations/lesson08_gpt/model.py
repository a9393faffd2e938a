"""A decoder-only Transformer in GPT-2's form, which reads and writes GPT-2's files.

Radford et al. (2018) kept the decoder of Vaswani et al. (2017) and dropped the rest; Radford et al. (2019) moved the
normalisation in front of each part, and added one after the last block. Lesson 6 wrote attention by hand and found
PyTorch's to be equal, so the fast one is used here.
"""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Shape:
    """The sizes of a model; the defaults are those of nanoGPT's run on a CPU."""

    vocabulary: int
    context: int = 64  # the most places that the model can see at once
    width: int = 128
    layers: int = 4
    heads: int = 4


class Cache:
    """The keys and values of all places so far, in each layer: two tensors (batch, heads, time, head_size)."""

    def __init__(self) -> None:
        self.layers: dict[int, tuple[Tensor, Tensor]] = {}

    @property
    def length(self) -> int:
        """How many places are in it."""
        return self.layers[0][0].shape[2] if self.layers else 0

    def extend(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Add the new places, and return the keys and values of all."""
        if layer in self.layers:
            key, value = (
                torch.cat([old, new], dim=2) for old, new in zip(self.layers[layer], (key, value), strict=True)
            )
        self.layers[layer] = (key, value)
        return key, value


class Attention(nn.Module):
    """Causal self-attention with many heads: each place looks at itself and back.  (batch, time, width) -> the same"""

    def __init__(self, shape: Shape, layer: int) -> None:
        super().__init__()
        self.heads, self.layer = shape.heads, layer
        self.inputs = nn.Linear(shape.width, 3 * shape.width)  # queries, keys and values in one product
        self.output = nn.Linear(shape.width, shape.width)

    def forward(self, x: Tensor, cache: Cache | None) -> Tensor:
        batch, time, width = x.shape
        split = self.inputs(x).view(batch, time, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)  # each (batch, heads, time, head_size)
        if cache is not None:
            key, value = cache.extend(self.layer, key, value)
        before = key.shape[2] - time  # places that came out of the cache: all may be looked at
        if before and time > 1:
            mask = torch.ones(time, before + time, dtype=torch.bool, device=x.device).tril(before)
            found = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        else:
            found = functional.scaled_dot_product_attention(query, key, value, is_causal=not before)
        return self.output(found.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention, then two layers on each place alone; both add to what was there.  (batch, time, width) -> the same"""

    def __init__(self, shape: Shape, layer: int) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(shape.width), nn.LayerNorm(shape.width)
        self.attention = Attention(shape, layer)
        self.feed_forward = nn.Sequential(
            nn.Linear(shape.width, 4 * shape.width), nn.GELU("tanh"), nn.Linear(4 * shape.width, shape.width)
        )

    def forward(self, x: Tensor, cache: Cache | None) -> Tensor:
        x = x + self.attention(self.norm_1(x), cache)
        return x + self.feed_forward(self.norm_2(x))


class GPT(nn.Module):
    """Token ids to the logits of each next token.

    The embedding of a token is also its row of the read-out (Press and Wolf 2017).
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.positions = nn.Embedding(shape.context, shape.width)
        self.blocks = nn.ModuleList(Block(shape, layer) for layer in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)

    def forward(self, tokens: Tensor, cache: Cache | None = None) -> Tensor:
        """(batch, time) -> (batch, time, vocabulary).

        With a cache, only the tokens that are not yet in it; it is extended.

        Raises ValueError for more tokens than the model has positions.
        """
        before, time = cache.length if cache else 0, tokens.shape[1]
        if before + time > self.shape.context:
            raise ValueError(f"{before + time} tokens, but the model has {self.shape.context} positions")
        x = self.tokens(tokens) + self.positions.weight[before : before + time]
        for block in self.blocks:
            x = block(x, cache)
        return functional.linear(self.norm(x), self.tokens.weight)


def random_gpt(shape: Shape, seed: int = 0, token_spread: float = 0.02) -> GPT:
    """A model that has learned nothing yet: weights of spread 0.02, biases 0 (Radford et al. 2018, section 4.1).

    2 · layers parts add to the same numbers, so their last matrices are smaller by the root of that (Radford et al.
    2019, section 2.3). The table of tokens may have a spread of its own: 0.02 was chosen for a width of 768, and a
    narrow model learns faster from a wider one.
    """
    # The modules draw from PyTorch's own generator first; it is put back afterwards.
    with torch.random.fork_rng(devices=[]):
        model = GPT(shape)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name == "tokens.weight":
                parameter.normal_(0, token_spread, generator=generator)
            elif parameter.ndim == 2:
                last = name.endswith(("attention.output.weight", "feed_forward.2.weight"))
                parameter.normal_(0, 0.02 / math.sqrt(2 * shape.layers) if last else 0.02, generator=generator)
            elif name.endswith("bias"):
                parameter.zero_()
    return model


NAMES = {  # ours -> GPT-2's
    "tokens": "wte",
    "positions": "wpe",
    "blocks": "h",
    "norm_1": "ln_1",
    "attention.inputs": "attn.c_attn",
    "attention.output": "attn.c_proj",
    "norm_2": "ln_2",
    "feed_forward.0": "mlp.c_fc",
    "feed_forward.2": "mlp.c_proj",
    "norm": "ln_f",
}
PARTS = re.compile(r"\b(" + "|".join(map(re.escape, sorted(NAMES, key=len, reverse=True))) + r")\b")


def gpt2_name(name: str) -> str:
    """What GPT-2 calls one of our weights."""
    return "transformer." + PARTS.sub(lambda part: NAMES[part[1]], name)


def turned(name: str, weight: Tensor) -> Tensor:
    """GPT-2's matrices in the blocks stand on their side, (inputs, outputs), as x @ matrix needs them.

    This turns them, both ways.
    """
    return weight.T.contiguous() if weight.ndim == 2 and name.startswith("blocks") else weight


def gpt2_weights(model: GPT) -> dict[str, Tensor]:
    """The weights as GPT-2's files have them."""
    return {gpt2_name(name): turned(name, weight) for name, weight in model.state_dict().items()}


def save_model(model: GPT, end: int, folder: Path) -> None:
    """Write config.json and model.safetensors as `GPT2LMHeadModel.from_pretrained` reads them; `end` is END's id."""
    from safetensors.torch import save_file

    shape = model.shape
    config = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": shape.vocabulary,
        "n_positions": shape.context,
        "n_embd": shape.width,
        "n_layer": shape.layers,
        "n_head": shape.heads,
        "activation_function": "gelu_new",  # GELU's tanh formula
        "layer_norm_epsilon": 1e-5,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
        "resid_pdrop": 0.0,
        "tie_word_embeddings": True,
        "bos_token_id": end,
        "eos_token_id": end,
        "dtype": "float32",
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    save_file(gpt2_weights(model), folder / "model.safetensors", metadata={"format": "pt"})


def load_model(folder: Path) -> GPT:
    """A model of a folder in GPT-2's format, ready to answer."""
    from safetensors.torch import load_file

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    names = {
        "vocabulary": "vocab_size",
        "context": "n_positions",
        "width": "n_embd",
        "layers": "n_layer",
        "heads": "n_head",
    }
    model = random_gpt(Shape(**{ours: config[theirs] for ours, theirs in names.items()}))
    stored = load_file(folder / "model.safetensors")
    model.load_state_dict({name: turned(name, stored[gpt2_name(name)]) for name in model.state_dict()})
    return model.eval()
