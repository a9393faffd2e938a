"""Lesson 7's modules beside the libraries'.

The pretrained MiniLM's weights run in our encoder, and our weights in torch.nn.Transformer.
"""

import json
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from projects.foundations.lesson07_transformer.dates import PAD, sample, split_days, tokenise
from projects.foundations.lesson07_transformer.lesson import (
    Architecture,
    Encoder,
    Trained,
    Transformer,
    causal_mask,
    repeatable,
)

SENTENCES = [
    "Yes.",
    "The cat drank the milk because it was thirsty.",
    "An encoder reads a whole sentence at once, so each word's numbers depend on all the others.",
]


class MiniLM(nn.Module):
    """BERT's way into the same encoder (Devlin et al. 2019): positions are learned, and the sum is normed."""

    def __init__(self, a: Architecture, tokens: int, places: int) -> None:
        super().__init__()
        self.words, self.places, self.norm = (
            nn.Embedding(tokens, a.width),
            nn.Embedding(places, a.width),
            nn.LayerNorm(a.width, eps=a.epsilon),
        )
        self.encoder = Encoder(a)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Tokens (batch, time), mask (batch, time) with 1 at the tokens, 0 at the padding -> (batch, time, width)."""
        x = self.norm(self.words(tokens) + self.places.weight[: tokens.shape[1]])
        return self.encoder(x, mask.bool()[:, None, None])


THEIR_NAMES = {
    "attention.self.query": "attention.query",
    "attention.self.key": "attention.key",
    "attention.self.value": "attention.value",
    "attention.output.dense": "attention.output",
    "attention.output.LayerNorm": "residuals.0.norm",
    "intermediate.dense": "feed_forward.first",
    "output.dense": "feed_forward.second",
    "output.LayerNorm": "residuals.1.norm",
}


def load_minilm(folder: Path) -> MiniLM:
    """Our encoder with the weights of a BERT of any size in this folder (Wang et al. 2020 for MiniLM)."""
    from safetensors.torch import load_file

    config, theirs = (
        json.loads((folder / "config.json").read_text(encoding="utf-8")),
        load_file(folder / "model.safetensors"),
    )
    a = Architecture(
        config["hidden_size"],
        config["num_attention_heads"],
        config["intermediate_size"],
        config["num_hidden_layers"],
        config["hidden_act"],
    )
    model = MiniLM(
        replace(a, epsilon=config["layer_norm_eps"]), config["vocab_size"], config["max_position_embeddings"]
    )
    ours = {f"norm.{kind}": theirs[f"embeddings.LayerNorm.{kind}"] for kind in ("weight", "bias")}
    ours["words.weight"] = theirs["embeddings.word_embeddings.weight"]
    # BERT marks which of two texts a token belongs to. We give it one, so the mark is the same everywhere.
    ours["places.weight"] = (
        theirs["embeddings.position_embeddings.weight"] + theirs["embeddings.token_type_embeddings.weight"][0]
    )
    for name, weights in theirs.items():
        if name.startswith("encoder.layer."):
            number, _, rest = name.removeprefix("encoder.layer.").partition(".")
            where, _, kind = rest.rpartition(".")
            ours[f"encoder.layers.{number}.{THEIR_NAMES[where]}.{kind}"] = weights
    model.load_state_dict(ours)  # it is an error if one is missing, left over or of another shape
    return model.eval()


@torch.no_grad()
def both_minilms(sentences: list[str]) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs of our encoder and of transformers' BertModel with the same weights, and the mask.

    (batch, time, width), (batch, time, width), (batch, time)
    """
    from transformers import AutoModel, AutoTokenizer

    from common.models.pretrained import pretrained

    folder = pretrained("starter:minilm-l6").folder
    batch = AutoTokenizer.from_pretrained(folder)(sentences, padding=True, return_tensors="pt")
    theirs = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()(**batch).last_hidden_state
    return load_minilm(folder)(batch["input_ids"], batch["attention_mask"]), theirs, batch["attention_mask"]


def library_transformer(model: Transformer, a: Architecture) -> nn.Transformer:
    """torch.nn.Transformer with our weights.

    It has no embeddings and no read-out, and it keeps query, key and value in one matrix. It is without dropout, and
    left in training mode: eval() takes a faster path, which warns of its own prototype.
    """
    sizes = a.width, a.heads, a.layers, a.layers, a.hidden, 0.0, a.activation
    module = nn.Transformer(
        *sizes, layer_norm_eps=a.epsilon, batch_first=True, norm_first=a.pre_norm, dtype=model.embedding.weight.dtype
    )
    weights = {}
    for stack in ("encoder", "decoder"):
        for number, layer in enumerate(getattr(model, stack).layers):
            looks = {"self_attn": layer.attention} | (
                {"multihead_attn": layer.cross_attention} if stack == "decoder" else {}
            )
            parts: dict[str, nn.Module] = {"linear1": layer.feed_forward.first, "linear2": layer.feed_forward.second}
            parts |= {f"norm{place}": residual.norm for place, residual in enumerate(layer.residuals, start=1)}
            for name, look in looks.items():
                parts[f"{name}.out_proj"] = look.output
                for kind in ("weight", "bias"):
                    three = [getattr(part, kind) for part in (look.query, look.key, look.value)]
                    weights[f"{stack}.layers.{number}.{name}.in_proj_{kind}"] = torch.cat(three)
            weights |= {
                f"{stack}.layers.{number}.{name}.{kind}": value
                for name, part in parts.items()
                for kind, value in part.state_dict().items()
            }
        if a.pre_norm:
            weights |= {
                f"{stack}.norm.{kind}": value for kind, value in getattr(model, stack).norm.state_dict().items()
            }
        else:
            # Theirs norms the last sum once more, also where the paper's layers have done so.
            getattr(module, stack).norm = None
    module.load_state_dict(weights)
    return module


def both_outputs(model: Transformer, a: Architecture, source: Tensor, written: Tensor) -> tuple[Tensor, Tensor]:
    """The decoder's outputs, ours and those of torch.nn.Transformer.

    Tokens (batch, time) and (batch, written) -> (batch, written, width), twice.
    """
    memory, mask = model.encode(source)
    ours = model.decoder(model.embed(written), memory, causal_mask(written.shape[1]), mask)
    hidden = source == PAD  # there, True is what may not be looked at
    theirs = library_transformer(model, a)(
        model.embed(source),
        model.embed(written),
        tgt_mask=~causal_mask(written.shape[1]),
        src_key_padding_mask=hidden,
        memory_key_padding_mask=hidden,
    )
    return ours, theirs


@torch.no_grad()
def seconds_of_minilm(texts: int = 2, time_steps: int = 512) -> tuple[float, float]:
    """How long ours and transformers' MiniLM need for long texts of random tokens: the shortest of three passes."""
    from transformers import AutoModel

    from common.models.pretrained import pretrained

    folder = pretrained("starter:minilm-l6").folder
    ours, theirs = load_minilm(folder), AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    tokens = torch.randint(1000, 30_000, (texts, time_steps), generator=torch.Generator().manual_seed(0))
    mask, best = torch.ones_like(tokens), []
    for run in (lambda: ours(tokens, mask), lambda: theirs(tokens, mask)):
        taken = []
        for _ in range(3):
            started = time.perf_counter()
            run()
            taken.append(time.perf_counter() - started)
        best.append(min(taken))
    return best[0], best[1]


@torch.no_grad()
def main(trained: Trained) -> None:
    """The same weights here, in torch.nn.Transformer and in transformers' BertModel."""
    texts, right = sample(split_days()[1], 64, torch.Generator().manual_seed(0))
    ours, theirs = both_outputs(trained.model, Architecture(), tokenise(texts), tokenise(right))
    print(f"\nLargest difference to torch.nn.Transformer with our weights: {(ours - theirs).abs().max():.0e}.")
    ours, theirs, mask = both_minilms(SENTENCES)
    apart = (ours - theirs)[mask.bool()].abs().max()
    print(
        f"Largest difference to transformers' BertModel with MiniLM's weights: {apart:.0e}, "
        f"{len(SENTENCES)} sentences of {mask.sum(dim=1).tolist()} tokens."
    )
    with repeatable(0):
        mine, library = seconds_of_minilm()
    print(f"MiniLM on two texts of 512 tokens, one thread: {mine:.2f} s here, {library:.2f} s in transformers.")
