"""A pretrained encoder whose vector of a text is the mean of its tokens, scaled to unit length.

It is saved as plain transformers weights, with the files from which sentence-transformers knows about mean and length.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from common.models.pooling import mean_of_tokens
from common.models.weights import load_model
from common.system.files import write_json

# The files of a folder that sentence-transformers loads, beside weights and tokenizer.
MODULES = (("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize"))
# Texts of nearly equal length that a CPU reads at once: it takes as long for padding as for words.
TEXTS = 16


class SentenceEncoder(nn.Module):
    """Vectors of texts.

    Args:
        encoder: any of transformers' encoders.
    """

    def __init__(self, encoder: Any):
        super().__init__()
        self.encoder = encoder
        for name, parameter in encoder.named_parameters():
            # No part of a mean, so without a gradient, which DDP would wait for.
            parameter.requires_grad_(not name.startswith("pooler."))

    @property
    def width(self) -> int:
        """The length of its vectors."""
        return int(self.encoder.config.hidden_size)

    def forward(self, *groups: dict[str, Tensor]) -> list[Tensor]:
        """(b, d) fp32 vectors of unit length for each group of texts, padded to (b, tokens) for itself."""
        return [self._vectors(**group) for group in groups]

    def _vectors(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        if input_ids.device.type != "cpu":
            return self._means(input_ids, attention_mask)
        lengths = attention_mask.sum(dim=1)
        order = lengths.argsort(descending=True, stable=True)
        parts = [
            self._means(input_ids[part, : lengths[part[0]]], attention_mask[part, : lengths[part[0]]])
            for part in order.split(TEXTS)
        ]
        return torch.cat(parts)[order.argsort()]

    def _means(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        tokens = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return nn.functional.normalize(mean_of_tokens(tokens, attention_mask), dim=1)


def load(folder: Path, complete: bool) -> SentenceEncoder:
    """The encoder of a pretrained or (`complete`) a fine-tuned model's folder."""
    from transformers import AutoModel

    return SentenceEncoder(load_model(AutoModel, folder, complete))


def save(model: Any, folder: Path, max_length: int, prompts: dict[str, str]) -> None:
    """Write weights and configuration, and what sentence-transformers reads beside them."""
    model.encoder.save_pretrained(folder)
    modules = [
        {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{name}"}
        for index, (name, path) in enumerate(MODULES)
    ]
    write_json(folder / "modules.json", modules)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": max_length, "do_lower_case": False})
    write_json(
        folder / "config_sentence_transformers.json",
        {"prompts": prompts, "default_prompt_name": None, "similarity_fn_name": "cosine"},
    )
    (folder / "1_Pooling").mkdir()
    size = model.width
    pooling = {"word_embedding_dimension": size, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
    write_json(folder / "1_Pooling" / "config.json", pooling)
