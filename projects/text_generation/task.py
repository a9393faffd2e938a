"""Text generation: a chat model that learns to answer as the training rows do."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor, nn

from common.data.features import column
from common.data.findings import Finding, row_names
from common.data.splits import Data
from common.metrics import calibration, language_model, text
from common.models import lora
from common.models.causal import (
    IGNORED,
    Causal,
    Generated,
    answers_with,
    check_head,
    check_packing,
    next_tokens,
    packed,
    padded,
)
from common.models.chat import ChatTemplate, Encoded, Message
from common.models.tokenizer import load_chat_tokenizer
from common.models.weights import load_model
from common.system.errors import UserError
from common.task.contract import Baseline, Batch, Metric, Outputs, Prediction, Rows, Task

from .config import TextGenerationConfig
from .features import features_of, windows
from .rows import asked_by

# Rows without anything to learn above this share mean that something is wrong with all of them.
MOST_UNLEARNED = 0.05
# Validation rows that are answered to find out from which confidence on the model is sure: writing takes its time.
SETTLED_ROWS = 200
# Tokens of an answer in a rehearsal.
REHEARSED = 3

USAGE = """\
from transformers import pipeline

answer = pipeline("text-generation", model="model")
chat = [{system}{{"role": "user", "content": {prompt}}}]
print(answer(chat)[0]["generated_text"][-1]["content"])
"""
# Where rows are plain texts.
TEXT_USAGE = """\
from transformers import pipeline

print(pipeline("text-generation", model="model")({prompt})[0]["generated_text"])
"""


class TextGeneration(Task):
    """A causal language model, fine-tuned with LoRA or as a whole, that writes an answer to a chat."""

    title = "Text generation"
    question = "What is the right answer?"
    for_whom = "For whoever has questions with their answers, and wants a small model that answers in the same way."
    intended_use = (
        "Writing answers like those of the training rows, which a person or a program checks before anything is done "
        "with them: the model may write anything, also what is wrong."
    )
    pipeline_tag = "text-generation"
    example = '"what you want"'
    config_class = TextGenerationConfig
    input_columns = ("prompt",)

    def __init__(self, config: Any):
        super().__init__(config)
        self.of_texts = config.text_column is not None
        self.metrics = metrics_of(config)
        # Is told the index of an asked input with its tokens so far, and says whether it is to stop there.
        self.listener: Callable[[int, list[int]], bool] | None = None

    # Rows

    def data(self) -> Data:
        from .rows import load_rows

        return load_rows(self.config)

    def rows(self, inputs: list[Any]) -> Rows:
        """Texts, or chats that end with a question."""
        asked = [asked_by(one) for one in inputs]
        return {name: [one[name] for one in asked] for name in ("prompt", "messages")}

    def raw_input(self, row: Mapping[str, Any]) -> Any:
        chat = row["messages"]
        return row["prompt"] if len(chat) == 1 and chat[0]["role"] == "user" else chat

    def shown_input(self, row: Mapping[str, Any]) -> Any:
        return row["prompt"]

    # Features: a chat, and which of its tokens are learned

    def load_processor(self, source: Path) -> None:
        self.tokenizer = load_chat_tokenizer(source)
        if self.of_texts:
            if self.tokenizer.eos_token_id is None:
                raise UserError(f"{self.config.model} has no token that ends a text: choose another --model.")
            self.end = int(self.tokenizer.eos_token_id)
        else:
            self.template = ChatTemplate(self.tokenizer, self.config.model)
            self.end = self.template.turn_end
        self.padding = self.end if self.tokenizer.pad_token_id is None else self.tokenizer.pad_token_id
        self.limit = min(self.config.max_length, self.tokenizer.model_max_length)

    def encode(self, rows: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        if self.of_texts:
            return self._windows(rows)
        chats = rows["messages"]
        if "reference" not in rows:
            return features_of(self.encoded_chats(chats, self.limit))
        answered = [
            [*chat, {"role": "assistant", "content": answer}]
            for chat, answer in zip(chats, rows["reference"], strict=True)
        ]
        return features_of(self.encoded_chats(answered, self.limit))

    def _windows(self, rows: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Plain texts, each of which has a window or more; with their rest, and the end, where that is known."""
        beginnings = self._tokens(rows["prompt"])
        rests = [[] for _ in beginnings]
        if "reference" in rows:
            rests = [[*rest, self.end] for rest in self._tokens(rows["reference"])]
        found = [windows(*of_row, self.limit) for of_row in zip(beginnings, rests, strict=True)]
        of_rows = [row for row, of_row in enumerate(found) for _ in of_row]
        return {**features_of([window for of_row in found for window in of_row]), "row": of_rows}

    def _tokens(self, texts: list[str]) -> list[list[int]]:
        tokens: list[list[int]] = self.tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
        return tokens

    def encoded_chats(self, chats: Sequence[Sequence[Message]], limit: int) -> list[Encoded]:
        """Chats as the model reads them, the system prompt of the options before those that have none."""
        system = [{"role": "system", "content": self.config.system_prompt}] if self.config.system_prompt else []
        whole = [[*([] if chat[0]["role"] == "system" else system), *chat] for chat in chats]
        return self.template.encode(whole, limit)

    def seen(self, feature: Mapping[str, Any]) -> list[tuple[str, bool]]:
        learned = set(feature["learned"])
        marked = ((token, index in learned) for index, token in enumerate(feature["input_ids"]))
        parts = itertools.groupby(marked, key=lambda pair: pair[1])
        return [(self.tokenizer.decode([token for token, _ in tokens]), is_learned) for is_learned, tokens in parts]

    def check_features(self, features: Dataset) -> list[Finding]:
        where, found = "the training rows", []
        cut, drifts = column(features, "cut"), column(features, "drifts")
        learned = np.asarray([len(of_row) for of_row in features["learned"]])

        def find(chosen: NDArray[np.bool_], problem: str, remedy: str, is_error: bool = False) -> None:
            if chosen.any():
                names = row_names(features, np.flatnonzero(chosen))
                found.append(Finding("error" if is_error else "warning", where, names, problem, remedy))

        nothing = learned == 0
        find(
            nothing,
            f"answers that do not fit into {self.limit} tokens with their prompt, so that nothing of them is learned",
            "give a larger --max_length, or shorten them",
            is_error=bool(nothing.mean() > MOST_UNLEARNED),
        )
        find(
            (cut > 0) & ~nothing,
            f"chats of more than {self.limit} tokens, of whose prompts the middle is left out",
            "give a larger --max_length; answers are whole",
        )
        find(drifts > 0, "prompts whose tokens are others where an answer follows", "begin answers without a blank")
        return found

    def collate(self, features: dict[str, list[Any]], epoch: int | None = None) -> Batch:
        """Chats padded on the right, with the token that follows each learned position; to answer, prompts, too."""
        if epoch is not None and self.config.pack:
            return dict(packed(features["input_ids"], features["learned"], self.limit, self.padding))
        ids, mask = padded(features["input_ids"], self.padding)
        batch: Batch = {
            "input_ids": ids,
            "attention_mask": mask,
            "targets": next_tokens(ids, features["learned"]),
        }
        if epoch is None:
            batch["rows"] = features.get("row")
            batch["prompt_ids"], batch["prompt_mask"] = padded(features["prompt"], self.padding, left=True)
            batch["answers"] = [
                sum(at >= answer for at in learned)
                for learned, answer in zip(features["learned"], features["answer"], strict=True)
            ]
        return batch

    # Model

    def prepare(self, source: Path, train: Dataset) -> nn.Module:
        from transformers import AutoConfig, AutoModelForCausalLM

        config = self.config
        if config.pretrained:
            plain: Any = load_model(AutoModelForCausalLM, source, links=True, dtype=torch.float32)
        else:
            plain = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(source), trust_remote_code=False)
        check_head(Causal(plain), config.model)
        if config.pack:
            check_packing(Causal(plain), config.model)
        answers_with(plain, self.end, config.max_new_tokens, self.padding)
        if config.gradient_checkpointing:
            plain.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        if config.tuning == "full":
            return Causal(plain)
        targets = config.lora_targets if config.lora_targets == "all-linear" else config.lora_targets.split()
        origin = source.name if Path(config.model).is_dir() else config.model
        rank, alpha, dropout = config.lora_rank, config.lora_alpha, config.lora_dropout
        return Causal(lora.with_adapters(plain, lora.Adapters(rank, alpha, dropout, targets, origin)))

    def load(self, folder: Path) -> nn.Module:
        from transformers import AutoModelForCausalLM

        return Causal(load_model(AutoModelForCausalLM, folder))

    def before(self, folder: Path) -> nn.Module | None:
        """The model as it was before its adapters were trained; None where it was fine-tuned as a whole."""
        loaded = self.load(folder)
        assert isinstance(loaded, Causal)
        untuned = lora.without_adapters(loaded.model, folder)
        return None if untuned is None else Causal(untuned)

    def save(self, model: nn.Module, folder: Path) -> None:
        assert isinstance(model, Causal)
        lora.merged(model.model).save_pretrained(folder)
        lora.save_adapters(model.model, folder)
        self.tokenizer.save_pretrained(folder)

    def parameters(self, model: nn.Module) -> int:
        return super().parameters(model) - lora.size_of_adapters(model)

    # Learning and answering

    def items(self, batch: Batch) -> int:
        return int((batch["targets"] != IGNORED).sum())

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        losses: Tensor = model(**_read(batch)).sum()
        return losses

    def predict(self, model: nn.Module, batch: Batch) -> list[Any]:
        """Answers; with plain texts, each beside how well the model foretells what it goes on from."""
        assert isinstance(model, Causal)
        written = self._written(model, batch)
        return self._foretold(model, batch, written)[1] if self.of_texts else written

    def _written(self, model: Causal, batch: Batch) -> list[Generated]:
        listener = self.listener
        if listener is None:
            short: dict[str, Any] = {"max_new_tokens": REHEARSED} if self.rehearsal else {}
            return model.write(batch["prompt_ids"], batch["prompt_mask"], **short)

        def each_step(written: list[list[int]]) -> list[bool]:
            pairs = zip(batch["rows"], written, strict=True)
            return [listener(row, model.up_to_end(ids)[0]) for row, ids in pairs]

        return model.write(batch["prompt_ids"], batch["prompt_mask"], each_step)

    def _foretold(
        self, model: Causal, batch: Batch, written: Sequence[Generated]
    ) -> tuple[Tensor, list[tuple[Generated, float, int]]]:
        """The loss; and of each row what is written, with the nats and the number of the beginning's tokens."""
        losses = model(**_read(batch))
        of_rows = losses.double().split((batch["targets"] != IGNORED).sum(dim=1).tolist())
        begun = [of_row[: len(of_row) - rest] for of_row, rest in zip(of_rows, batch["answers"], strict=True)]
        found = [(one, float(nats.sum()), len(nats)) for one, nats in zip(written, begun, strict=True)]
        return losses.sum(), found

    def evaluate(self, model: nn.Module, batch: Batch) -> tuple[Tensor, list[Any]]:
        """The loss, and what the model says when it is told each right token before the next one.

        That is right where the answer that it writes alone is, and costs as much as the loss.
        """
        assert isinstance(model, Causal)
        if self.of_texts:
            return self._foretold(model, batch, [Generated([], False, 0.0, 0.0)] * len(batch["answers"]))
        losses, said = model.told(**_read(batch))
        counts = (batch["targets"] != IGNORED).sum(dim=1).tolist()
        found = []
        for of_row, answer in zip(said.split(counts), batch["answers"], strict=True):
            ids, stopped = model.up_to_end(of_row[len(of_row) - answer :].tolist())
            found.append(Generated(ids, stopped, 0.0, 0.0))
        return losses.sum(), found

    def finish(self, rows: Rows, outputs: Outputs) -> list[Prediction]:
        if not self.of_texts:
            return [self._answer(of_row[0]) for of_row in outputs]
        return [self._continued(*of_row) for of_row in zip(rows["prompt"], outputs, strict=True)]

    def _continued(self, beginning: str, windows: list[tuple[Generated, float, int]]) -> Prediction:
        """How the first window's text goes on, and what the beginning cost; its first token follows nothing."""
        answer = self._answer(windows[0][0])
        first = self.tokenizer.decode(self._tokens([beginning])[0][:1])
        sizes = [len(text.encode("utf-8", "surrogatepass")) for text in (beginning, first)]
        foretold = {
            "nats": round(sum(nats for _, nats, _ in windows), 6),
            "foretold": sum(count for _, _, count in windows),
            "bytes": max(1, sizes[0] - sizes[1]),
        }
        return Prediction(answer.value, details={**answer.details, **foretold})

    def _answer(self, written: Generated) -> Prediction:
        said = self.tokenizer.decode(written.ids, skip_special_tokens=True).strip()
        details = {"stopped": written.stopped, "tokens": len(written.ids), "gap": round(written.gap, 6)}
        confidence = round(written.confidence, 6)
        return Prediction(said, confidence, confidence >= (self.settings.get("threshold") or 0.0), details)

    def settle(self, ask: Callable[[Dataset], Outputs], validation: Dataset) -> dict[str, Any]:
        """The confidence from which on an answer is sure; None with few validation rows."""
        if self.of_texts or len(validation) < calibration.FEWEST_ROWS:
            return {"threshold": None}
        rows = validation.select(range(min(SETTLED_ROWS, len(validation))))
        written = self.finish(rows, ask(rows))
        right = self.statistics(written, list(rows["reference"]))[:, 0] > 0
        confidence = np.asarray([one.confidence for one in written], dtype=np.float64)
        return {"threshold": round(calibration.answer_threshold(confidence, right), 6)}

    # Evidence

    def statistics(self, predictions: list[Prediction], references: list[Any]) -> NDArray[np.float64]:
        if self.of_texts:
            names = ("nats", "foretold", "bytes")
            sums = [[one.details[name] for name in names] for one in predictions]
            return np.asarray(sums, dtype=np.float64).reshape(-1, len(names))
        stopped = [bool(one.details.get("stopped", True)) for one in predictions]
        answers, config = [one.value for one in predictions], self.config
        return text.statistics(answers, references, stopped, config.answer_format, config.answer_field)

    def score(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        found = language_model.score(sums) if self.of_texts else text.score(sums)
        return {metric.name: found[metric.name] for metric in self.metrics}

    def same(self, old: Prediction, new: Prediction, tolerance: float) -> bool:
        """The same text, as likely; or another one where two tokens were as likely as the tolerance allows."""
        if self.of_texts and abs(old.details["nats"] - new.details["nats"]) > tolerance * old.details["foretold"]:
            return False
        if old.value != new.value:
            return bool(min(one.details.get("gap", np.inf) for one in (old, new)) <= tolerance)
        return abs((old.confidence or 0.0) - (new.confidence or 0.0)) <= tolerance

    def sections(self, records: list[dict[str, Any]]) -> dict[str, Any]:
        from .evidence import sections_of

        return sections_of(self, records)

    def examine(
        self, model: nn.Module, data: Data, answers: Mapping[str, list[Prediction]], source: Path
    ) -> dict[str, Any]:
        from .evidence import examined, untuned_model

        assert isinstance(model, Causal)
        return examined(self, model, untuned_model(self, source), data, answers)

    def is_right(self, answer: str, reference: str) -> bool:
        """Whether an answer counts as the right one."""
        return not self.is_changed(reference, answer)

    def is_changed(self, old: Any, new: Any) -> bool:
        one, two = (text.normalised(value, self.config.answer_format) for value in (old, new))
        return one != two

    def about(self) -> str:
        end = "Answers are the likeliest next token, again and again, until the model ends its turn"
        return f"{end}, or after {self.config.max_new_tokens} tokens."

    def describe(self) -> dict[str, Any]:
        if self.of_texts:
            return {**super().describe(), "usage": TEXT_USAGE.format(prompt=self.example)}
        system = self.config.system_prompt
        first = f'{{"role": "system", "content": {system!r}}}, ' if system else ""
        return {**super().describe(), "usage": USAGE.format(system=first, prompt=self.example)}

    def slices(self, rows: Dataset, train: Dataset) -> Mapping[str, Sequence[str | None]]:
        from .evidence import by_kind

        return by_kind(rows, train)

    def perturb(self, rows: Dataset) -> dict[str, list[Any]]:
        from .evidence import perturbed

        return {} if self.of_texts else perturbed(rows)

    # Baselines

    def baselines(self, data: Data, source: Path) -> dict[str, Baseline]:
        from .baselines import fit_baselines

        return fit_baselines(self, data, source)

    def load_baseline(self, folder: Path) -> Baseline:
        from .baselines import load

        return load(self, folder)


def metrics_of(config: TextGenerationConfig) -> tuple[Metric, ...]:
    """What is measured of answers of a format."""
    if config.text_column:
        return (Metric("bits_per_byte", "number", higher_is_better=False, title="bits a byte"),)
    exact, stopped = Metric("exact_match", exact=True), Metric("stopped", exact=True, title="stopped by itself")
    if config.answer_format != "json":
        return exact, Metric("first_word", exact=True, title="first word right"), stopped
    field = config.answer_field
    of_field = (Metric("field", exact=True, title=f"{field} right"),) if field else ()
    return (exact, *of_field, Metric("valid_json", exact=True, title="valid JSON"), stopped)


def _read(batch: Batch) -> dict[str, Tensor]:
    """What the model's forward pass takes of a batch."""
    names = ("input_ids", "attention_mask", "position_ids", "targets")
    return {name: batch[name] for name in names if name in batch}


TASK = TextGeneration
