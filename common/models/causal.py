"""A causal language model: the loss at the positions that count, and greedy answers.

Legend of shapes: b rows, t tokens, d width, n positions that count.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from common.system.errors import UserError

# Is given the tokens that each row has so far, and says which rows are to stop.
EachStep: TypeAlias = Callable[[list[list[int]]], list[bool]]

# Of a position that does not count.
IGNORED = -100
# Positions whose logits are in memory at the same time: 512 x 49,152 x 4 bytes are 100 MB.
CHUNK = 512
# How far logits of the head alone may be from those of the whole model.
SAME = 1e-3


@dataclass(frozen=True)
class Generated:
    """What a model wrote.

    Attributes:
        ids: its tokens, the one that ends the turn left out.
        stopped: whether it ended the turn by itself, before the limit.
        confidence: the probability that it gives to just this answer, its end included.
        gap: the smallest lead of a token over the next likely one, as a difference of probabilities.
    """

    ids: list[int]
    stopped: bool
    confidence: float
    gap: float


class ExactHead(nn.Linear):
    """A model's head whose logits stay exact where no gradient is wanted, whatever autocast says.

    bf16 has 8 bits: the likeliest tokens often get the very same logit, and which of them is written then depends on
    the rows beside it in the batch. Trained it is as autocast says, which is faster.

    Args:
        plain: the layer whose parameters it has.
    """

    def __init__(self, plain: nn.Linear):
        super().__init__(plain.in_features, plain.out_features, plain.bias is not None, device="meta")
        self.weight, self.bias = plain.weight, plain.bias

    def forward(self, input: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return super().forward(input)
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input.to(self.weight.dtype))


class LanguageModel(nn.Module):
    """A model of transformers that writes, perhaps with adapters.

    Args:
        model: the model, or peft's wrapper of it.

    Attributes:
        auto_class: the name of transformers' class that loads it.
        kind: peft's name for what it does.
    """

    auto_class: ClassVar[str]
    kind: ClassVar[str]

    def __init__(self, model: Any):
        super().__init__()
        self.model = model
        head = self.plain.get_output_embeddings()
        if type(head) is nn.Linear:
            self.plain.set_output_embeddings(ExactHead(head))

    @property
    def plain(self) -> Any:
        """transformers' model, which holds the adapters in its layers if there are any."""
        return self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model

    @property
    def ends(self) -> set[int]:
        """The tokens that end an answer."""
        ends = self.plain.generation_config.eos_token_id
        return set(ends) if isinstance(ends, list) else {ends}

    def up_to_end(self, ids: list[int]) -> tuple[list[int], bool]:
        """The tokens before the first that ends an answer, and whether there is one."""
        ends = self.ends
        end = next((index for index, token in enumerate(ids) if token in ends), None)
        return ids[:end], end is not None


class Causal(LanguageModel):
    """Any AutoModelForCausalLM; `forward` gives the losses of single positions."""

    auto_class, kind = "AutoModelForCausalLM", "CAUSAL_LM"

    def forward(
        self,
        input_ids: Tensor,
        targets: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
    ) -> Tensor:
        """(n,) fp32 losses of the next tokens where `targets`, (b, t), are not `IGNORED`.

        `targets[i, j]` is the token that follows position j of row i: it is shifted here no more. Rows are padded, and
        have an `attention_mask`, or hold several texts, and have `position_ids` that begin anew with each.
        """
        chosen, wanted = self._chosen(input_ids, targets, attention_mask, position_ids)
        *earlier, last = zip(chosen.split(CHUNK), wanted.split(CHUNK), strict=True)
        if not torch.is_grad_enabled():
            return torch.cat([self._losses(*part) for part in (*earlier, last)])
        # The logits of a chunk are made once more for its gradient, so that never all of them are there. The gradient
        # begins with the last chunk: its logits are needed at once.
        options: dict[str, Any] = {"use_reentrant": False, "preserve_rng_state": False}
        losses = [checkpoint(self._losses, *part, **options) for part in earlier]
        return torch.cat([*losses, self._losses(*last)])

    def _chosen(
        self,
        input_ids: Tensor,
        targets: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """(n, d) what the head reads at the positions that count, and their (n,) targets."""
        body = getattr(self.plain, self.plain.base_model_prefix)
        # transformers tells texts in one row apart by their positions, but not beside a mask or a cache.
        places = {} if position_ids is None else {"position_ids": position_ids}
        read = body(input_ids=input_ids, attention_mask=attention_mask, use_cache=False, **places)
        vectors = read.last_hidden_state
        counts = targets != IGNORED  # (b, t)
        return vectors[counts], targets[counts]

    def _losses(self, vectors: Tensor, targets: Tensor) -> Tensor:
        return nn.functional.cross_entropy(self._logits(vectors), targets, reduction="none")

    def _logits(self, vectors: Tensor) -> Tensor:
        """(n, vocabulary) in fp32."""
        logits: Tensor = self.plain.get_output_embeddings()(vectors).float()
        return logits

    def told(self, input_ids: Tensor, targets: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """(n,) losses, and the (n,) tokens that the model says where it is told each right one before the next.

        An answer that is right so is the one that the model writes alone: up to the first mistake both are the same.
        """
        chosen, wanted = self._chosen(input_ids, targets, attention_mask)
        losses, said = [], []
        for vectors, right in zip(chosen.split(CHUNK), wanted.split(CHUNK), strict=True):
            logits = self._logits(vectors)
            losses.append(nn.functional.cross_entropy(logits, right, reduction="none"))
            said.append(logits.argmax(dim=-1))
        return torch.cat(losses), torch.cat(said)

    @torch.no_grad()
    def write(
        self, input_ids: Tensor, attention_mask: Tensor, each_step: EachStep | None = None, **options: Any
    ) -> list[Generated]:
        """The likeliest next token, again and again, for (b, t) prompts that are padded on the left.

        As the model's generation_config.json says, which plain transformers reads, too; `options` go to `generate`.
        After each step `each_step` is given what is written so far, and says of each row whether it is to stop there.
        """
        watch, told = Watch(), _Told(each_step, input_ids.shape[1])
        given: dict[str, Any] = {"input_ids": input_ids, "attention_mask": attention_mask}
        given["logits_processor"] = LogitsProcessorList([watch])
        if each_step:
            given["stopping_criteria"] = StoppingCriteriaList([told])
        ids = self.model.generate(**given, **options)
        # What follows where a row was to stop is padding, which may be the very token that ends an answer.
        written = [of_row[: told.stopped.get(row)] for row, of_row in enumerate(ids[:, input_ids.shape[1] :].tolist())]
        logs, gaps = (torch.stack(values, dim=1).tolist() for values in (watch.logs, watch.gaps))
        return [self._generated(*of_row) for of_row in zip(written, logs, gaps, strict=True)]

    def _generated(self, ids: list[int], logs: list[float], gaps: list[float]) -> Generated:
        kept, stopped = self.up_to_end(ids)
        steps = len(kept) + stopped
        return Generated(kept, stopped, math.exp(sum(logs[:steps])), min(gaps[:steps], default=0.0))


def in_words(generated: Generated, tokenizer: Any) -> tuple[str, dict[str, Any]]:
    """The text that was written, and the details of a prediction."""
    said = tokenizer.decode(generated.ids, skip_special_tokens=True).strip()
    return said, {"stopped": generated.stopped, "tokens": len(generated.ids), "gap": round(generated.gap, 6)}


class Watch(LogitsProcessor):
    """Notes of each step how likely its token is, and by how much likelier than the next one; changes nothing."""

    def __init__(self) -> None:
        self.logs: list[Tensor] = []
        self.gaps: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        best = scores.topk(2, dim=-1).values - scores.logsumexp(dim=-1, keepdim=True)  # (b, 2) log probabilities
        self.logs.append(best[:, 0])
        self.gaps.append(best.exp()[:, 0] - best.exp()[:, 1])
        return scores


class _Told(StoppingCriteria):
    """Tells somebody after each step what is written so far, and stops the rows that they do not want any more.

    Attributes:
        stopped: of each row that was stopped, after how many tokens.
    """

    def __init__(self, each_step: EachStep | None, prompt: int):
        self.each_step, self.prompt = each_step, prompt
        self.stopped: dict[int, int] = {}

    def __call__(self, input_ids: Tensor, scores: Tensor, **_: Any) -> Tensor:
        assert self.each_step
        written = input_ids[:, self.prompt :].tolist()
        stop = self.each_step([ids[: self.stopped.get(row)] for row, ids in enumerate(written)])
        for row, ids in enumerate(written):
            if stop[row]:
                self.stopped.setdefault(row, len(ids))
        return torch.tensor(stop, dtype=torch.bool, device=input_ids.device)


def answers_with(model: Any, turn_end: int, max_new_tokens: int, padding: int) -> None:
    """Write into the model's generation config how it answers: greedily, until the turn ends."""
    from transformers import GenerationConfig

    before = model.generation_config.eos_token_id
    ends = {turn_end, *(before if isinstance(before, list) else [] if before is None else [before])}
    model.generation_config = GenerationConfig(
        bos_token_id=model.generation_config.bos_token_id,
        eos_token_id=sorted(ends),
        pad_token_id=padding,
        max_new_tokens=max_new_tokens,
        do_sample=False,
    )


@torch.no_grad()
def check_head(model: Causal, name: str) -> None:
    """Raise UserError where a model does more to its logits than its head: the loss would be another one."""
    plain = model.plain.eval()
    ids = torch.arange(4)[None] % plain.get_input_embeddings().num_embeddings
    mask = torch.ones_like(ids)
    vectors, _ = model._chosen(ids, torch.zeros_like(ids), mask)
    whole = plain(input_ids=ids, attention_mask=mask, use_cache=False).logits[0].float()
    if (model._logits(vectors) - whole).abs().max() > SAME * whole.abs().max().clamp(min=1):
        raise UserError(
            f"{name} changes its logits behind its last layer, which is not supported: choose another --model."
        )


@torch.no_grad()
def check_packing(model: Causal, name: str) -> None:
    """Raise UserError where a text reads others in its row: not every model tells them apart by their positions."""
    tokens = model.plain.eval().get_input_embeddings().num_embeddings
    texts = [[token % tokens for token in text] for text in ((4, 5, 6, 7), (1, 2, 3))]
    learned = [list(range(1, len(text))) for text in texts]
    together = model(**packed(texts, learned, limit=8, padding=0))
    alone = [
        model(**packed([text], [of_text], limit=8, padding=0)) for text, of_text in zip(texts, learned, strict=True)
    ]
    if (together - torch.cat(alone)).abs().max() > SAME:
        raise UserError(f"{name} does not tell texts in one row apart: leave --pack out, or choose another --model.")


def packed(texts: list[list[int]], learned: list[list[int]], limit: int, padding: int) -> dict[str, Tensor]:
    """What `Causal` reads of texts behind each other, in rows of at most `limit` tokens, and learns of them.

    Longest first, each into the first row that has room for it. Positions begin anew with each, and with all padding.
    """
    rows: list[tuple[list[int], list[int], list[int]]] = []  # tokens, learned indices, positions
    for index in sorted(range(len(texts)), key=lambda index: -len(texts[index])):
        text = texts[index]
        row = next((row for row in rows if len(row[0]) + len(text) <= limit), None)
        if row is None:
            rows.append(row := ([], [], []))
        row[1].extend(len(row[0]) + at for at in learned[index])
        row[0].extend(text)
        row[2].extend(range(len(text)))
    ids, _ = padded([row[0] for row in rows], padding)
    positions, _ = padded([row[2] for row in rows], padding=0)
    return {"input_ids": ids, "targets": next_tokens(ids, [row[1] for row in rows]), "position_ids": positions}


def next_tokens(ids: Tensor, learned: list[list[int]]) -> Tensor:
    """(b, t) targets: the token that follows each position of (b, t) `ids`, where that is one of the learned."""
    targets = torch.full_like(ids, IGNORED)
    for row, of_row in enumerate(learned):
        at = torch.tensor(of_row, dtype=torch.long)
        targets[row, at - 1] = ids[row, at]
    return targets


def padded(texts: list[list[int]], padding: int, left: bool = False) -> tuple[Tensor, Tensor]:
    """(b, t) ids and mask; padded on the right, or on the `left` for a model that has to go on writing."""
    longest = max(map(len, texts))
    ids = torch.full((len(texts), longest), padding, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, of_text in enumerate(texts):
        place = slice(longest - len(of_text), longest) if left else slice(len(of_text))
        ids[row, place], mask[row, place] = torch.tensor(of_text, dtype=torch.long), 1
    return ids, mask
