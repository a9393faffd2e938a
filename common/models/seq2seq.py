"""A model that reads a text and writes another, such as T5 or BART: the loss of each right token, and what it writes.

Legend of shapes: b rows, t tokens that are read, s tokens that should be written, n of them that count.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import LogitsProcessorList

from common.models.causal import IGNORED, Generated, LanguageModel, Watch


class Seq2Seq(LanguageModel):
    """Any AutoModelForSeq2SeqLM; `forward` gives the losses of single tokens."""

    auto_class, kind = "AutoModelForSeq2SeqLM", "SEQ_2_SEQ_LM"

    def forward(self, input_ids: Tensor, attention_mask: Tensor, targets: Tensor) -> Tensor:
        """(n,) fp32 losses where `targets`, (b, s), are not `IGNORED`.

        The model shifts them itself, to the right: it reads each right token before it has to say the next one.
        """
        logits = self.model(input_ids=input_ids, attention_mask=attention_mask, labels=targets, use_cache=False).logits
        counts = targets != IGNORED  # (b, s)
        return nn.functional.cross_entropy(logits[counts].float(), targets[counts], reduction="none")

    @torch.no_grad()
    def write(self, input_ids: Tensor, attention_mask: Tensor, **options: Any) -> list[Generated]:
        """What is written for (b, t) texts, as the model's generation_config.json says; `options` go to `generate`.

        With several beams the gap of an answer is the lead of the best one over the next, a token in the mean.
        """
        given: dict[str, Any] = {"input_ids": input_ids, "attention_mask": attention_mask, **options}
        settings = self.plain.generation_config
        if settings.num_beams and settings.num_beams > 1:
            kept = {"num_return_sequences": 2, "return_dict_in_generate": True, "output_scores": True}
            found = self.model.generate(**given, **kept)
            likely = found.sequences_scores.float().exp().view(-1, 2)  # (b, 2), the best one first
            written, gaps = found.sequences[::2], (likely[:, 0] - likely[:, 1]).tolist()
        else:
            watch = Watch()
            written = self.model.generate(**given, logits_processor=LogitsProcessorList([watch]))
            gaps = torch.stack(watch.gaps, dim=1).tolist()
        rows = zip(written[:, 1:].tolist(), gaps, strict=True)  # the first token only begins
        return [self._generated(ids, gap) for ids, gap in rows]

    def _generated(self, ids: list[int], gap: float | list[float]) -> Generated:
        kept, stopped = self.up_to_end(ids)
        smallest = min(gap[: len(kept) + stopped], default=0.0) if isinstance(gap, list) else gap
        return Generated(kept, stopped, 0.0, smallest)


def writes_with(model: Any, max_new_tokens: int, num_beams: int) -> None:
    """Write into the model's generation config how it writes: the likeliest, with so many beams, until it ends."""
    from transformers import GenerationConfig

    before, config = model.generation_config, model.config
    begins = before.decoder_start_token_id
    model.generation_config = GenerationConfig(
        decoder_start_token_id=config.decoder_start_token_id if begins is None else begins,
        bos_token_id=before.bos_token_id,
        forced_bos_token_id=before.forced_bos_token_id,
        eos_token_id=before.eos_token_id,
        pad_token_id=before.pad_token_id,
        max_new_tokens=max_new_tokens,
        num_beams=num_beams,
        do_sample=False,
    )
