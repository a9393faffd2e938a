"""Semantic search: which documents answer a query?"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor, nn

from common.data.features import column
from common.data.findings import Finding, in_training
from common.data.splits import Data
from common.metrics import ranking
from common.models.tokenizer import load_tokenizer
from common.task.contract import Baseline, Batch, Metric, Outputs, Prediction, Rows, Task

from . import encoder, evidence
from .alike import places
from .config import SemanticSearchConfig
from .documents import Corpus
from .index import Index, all_documents, answer, excerpt, rounded

# Documents that the trial of the evaluation ranks.
REHEARSED = 64


class SemanticSearch(Task):
    """Encoder that gives query and document a vector each; the nearest documents answer."""

    title = "Semantic search"
    question = "Which page answers this?"
    for_whom = "Whoever has documents and users who describe what they want in words of their own."
    intended_use = (
        "Finding documents like the training ones by queries like the training ones; "
        "it always finds something, also where nothing answers the query."
    )
    pipeline_tag = "sentence-similarity"
    example = '"what you are looking for"'
    config_class = SemanticSearchConfig
    input_columns = ("query",)
    metrics = (
        Metric(
            "mrr_10",
            title="MRR@10",
            meaning="one over the place of the first right document, 0 beyond the tenth; the mean over the queries",
        ),
        Metric("ndcg_10", title="nDCG@10"),
        Metric("recall_1", title="recall@1", exact=False),
        Metric("recall_10", title="recall@10"),
        Metric("recall_100", title="recall@100"),
    )
    loss_is_sum = False

    def __init__(self, config: Any):
        super().__init__(config)
        self.corpus = Corpus()
        self.index: Index | None = None
        self.mined: dict[tuple[str, int], list[int]] = {}
        self._tokens: list[list[int]] = []
        self._order: NDArray[np.int64] | None = None
        self._tokens_lock = threading.Lock()

    # Rows

    def data(self) -> Data:
        from .rows import load_rows

        self.corpus = Corpus()
        data = load_rows(self.config, self.corpus)
        self.settings["documents"] = len(self.corpus)
        self.documents = sorted(self.corpus.texts)
        self.number = {document: index for index, document in enumerate(self.documents)}
        measured = [rows for split, rows in data.splits.items() if split != "train"]
        self.held_out = {one["document"] for rows in measured for judged in rows["reference"] for one in judged}
        self._tokens, self._order = [], None
        return data

    # Features: a query with one document that answers it, or a text alone

    def load_processor(self, source: Path) -> None:
        self.tokenizer = load_tokenizer(source)
        self.tokenizer.model_max_length = min(self.tokenizer.model_max_length, self.config.max_length)

    def encode(self, rows: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """A feature for each relevant document of a query; of documents, and of queries alone, one for each text."""
        if "document" in rows:
            return self._texts(self.config.document_prefix, rows["document"])
        queries = self._texts(self.config.query_prefix, rows["query"])
        if "reference" not in rows:
            return queries
        tokens = self._document_tokens()
        features: dict[str, list[Any]] = {
            name: [] for name in ("row", "input_ids", "positive", "negatives", "relevant", "length")
        }
        for row, (ids, judged, negatives) in enumerate(
            zip(queries["input_ids"], rows["reference"], rows["negatives"], strict=True)
        ):
            relevant = [self.number[one["document"]] for one in judged]
            for positive in relevant:
                features["row"].append(row)
                features["input_ids"].append(ids)
                features["positive"].append(positive)
                features["negatives"].append([self.number[document] for document in negatives])
                features["relevant"].append(relevant)
                features["length"].append(len(ids) + len(tokens[positive]))
        if self.config.similar_together:
            features["place"] = self._places()[features["positive"]].tolist()
        return features

    def _texts(self, prefix: str | None, texts: Sequence[str]) -> dict[str, list[Any]]:
        options = {"truncation": True, "return_attention_mask": False, "return_token_type_ids": False}
        ids = self.tokenizer([(prefix or "") + text for text in texts], **options)["input_ids"]
        return {"input_ids": ids, "length": [len(of_text) for of_text in ids]}

    def _document_tokens(self) -> list[list[int]]:
        """The tokens of each document; made once, whichever thread asks first."""
        with self._tokens_lock:
            if not self._tokens:
                texts = [self.corpus.texts[document] for document in self.documents]
                self._tokens = self._texts(self.config.document_prefix, texts)["input_ids"]
        return self._tokens

    def _places(self) -> NDArray[np.int64]:
        """(documents,) their places in an order by shared words; found once, whichever thread asks first."""
        with self._tokens_lock:
            if self._order is None:
                self._order = places([self.corpus.texts[document] for document in self.documents])
        return self._order

    def check_features(self, features: Dataset) -> list[Finding]:
        limit = self.tokenizer.model_max_length
        first = np.unique(column(features, "row"), return_index=True)[1]
        lengths = np.asarray([len(ids) for ids in features[first]["input_ids"]])
        problem, remedy = f"queries of {limit} tokens or more, cut there", "give a larger --max_length"
        found = in_training(features, first[lengths >= limit], problem, remedy)
        if long := sum(len(ids) >= limit for ids in self._document_tokens()):
            problem = f"{long:,} of {len(self.documents):,} have {limit} tokens or more and are cut there"
            found.append(Finding("warning", "the documents", [], problem, "give a larger --max_length, or split them"))
        return found

    def collate(self, features: dict[str, list[Any]], epoch: int | None = None) -> Batch:
        batch: Batch = {"queries": self._padded(features["input_ids"])}
        if "positive" in features:
            tokens = self._document_tokens()
            documents = self._documents(features)  # (features, 1 + negatives)
            batch["documents"] = self._padded([tokens[number] for number in documents.ravel()])
            batch["features"] = {name: features[name] for name in ("id", "positive", "negatives", "relevant")}
        return batch

    def _padded(self, texts: list[list[int]]) -> dict[str, Tensor]:
        """(texts, tokens) ids and mask."""
        size = (len(texts), max(map(len, texts)))
        input_ids = np.full(size, self.tokenizer.pad_token_id or 0, dtype=np.int64)
        mask = np.zeros(size, dtype=np.int64)
        for index, ids in enumerate(texts):
            input_ids[index, : len(ids)] = ids
            mask[index, : len(ids)] = 1
        return {"input_ids": torch.from_numpy(input_ids), "attention_mask": torch.from_numpy(mask)}

    def _documents(self, features: Mapping[str, list[Any]]) -> NDArray[np.int64]:
        """(features, 1 + negatives) the documents of each feature, its positive first.

        Where it has too few negatives, the positive stands in their place: the loss leaves that out.
        """
        wanted = self.config.hard_negatives
        keys = zip(features["id"], features["positive"], strict=True)
        pairs = zip(keys, features["negatives"], strict=True)
        rows = [[key[1], *(self.mined.get(key) or negatives)[:wanted]] for key, negatives in pairs]
        return np.asarray([[*row, *row[:1] * (1 + wanted - len(row))] for row in rows], dtype=np.int64)

    # Model

    def prepare(self, source: Path, train: Dataset) -> nn.Module:
        model = encoder.load(source, complete=False)
        if self.config.hard_negatives and not self.config.negatives_column:
            from .mining import mine

            texts = [self.corpus.texts[document] for document in self.documents]
            left_out = {self.number[document] for document in self.held_out}
            wanted, margin = self.config.hard_negatives, self.config.negatives_margin
            self.mined = mine(self, model, train, texts, left_out, wanted, margin)
        return model

    def load(self, folder: Path) -> nn.Module:
        model = encoder.load(folder, complete=True)
        self.index = Index.load(folder, model.width)
        return model

    def save(self, model: nn.Module, folder: Path) -> None:
        assert self.index
        prompts = {"query": self.config.query_prefix or "", "document": self.config.document_prefix or ""}
        encoder.save(model, folder, self.tokenizer.model_max_length, prompts)
        self.tokenizer.save_pretrained(folder)
        self.index.save(folder, int8=self.config.index_vectors == "int8")

    # Learning

    def items(self, batch: Batch) -> int:
        return len(batch["queries"]["input_ids"])

    def represent(self, model: nn.Module, batch: Batch) -> Tensor:
        """(b, 2 + negatives, d) unit vectors of each feature's query, its positive and its negatives."""
        queries, documents = model(batch["queries"], batch["documents"])
        return torch.cat([queries.unsqueeze(1), documents.unflatten(0, (len(queries), -1))], dim=1)

    def contrast(self, representations: Tensor, features: dict[str, list[Any]]) -> Tensor:
        """Cross-entropy of each query's positive among the documents of all features, by scaled cosines.

        What is known to be relevant to a query is no negative of it.
        """
        queries, documents = representations[:, 0], representations[:, 1:].flatten(0, 1)
        numbers = self._documents(features)
        targets = np.arange(len(numbers)) * numbers.shape[1]
        with torch.autocast(queries.device.type, enabled=False):
            scores = self.config.scale * queries.float() @ documents.float().T  # (features, documents)
        known = np.stack([np.isin(numbers.ravel(), relevant) for relevant in features["relevant"]])
        known[np.arange(len(numbers)), targets] = False
        scores = scores.masked_fill(torch.from_numpy(known).to(scores.device), -torch.inf)
        return nn.functional.cross_entropy(scores, torch.from_numpy(targets).to(scores.device), reduction="sum")

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return self.contrast(self.represent(model, batch), batch["features"])

    # Answering

    def predict(self, model: nn.Module, batch: Batch) -> list[NDArray[np.float32]]:
        (vectors,) = model(batch["queries"])
        return list(vectors.float().cpu().numpy())

    def evaluate(self, model: nn.Module, batch: Batch) -> tuple[Tensor, list[NDArray[np.float32]]]:
        vectors = self.represent(model, batch)
        return self.contrast(vectors, batch["features"]), list(vectors[:, 0].float().cpu().numpy())

    def refresh(self, ask: Callable[[Dataset], Outputs]) -> None:
        """Make the index anew."""
        documents = self.searched
        texts = [self.corpus.texts[document] for document in documents]
        vectors = np.stack([of_row[0] for of_row in ask(Dataset.from_dict({"id": documents, "document": texts}))])
        int8 = self.config.index_vectors == "int8"
        self.index = Index(documents, texts, rounded(vectors) if int8 else vectors)

    @property
    def searched(self) -> list[str]:
        """The ids of the documents that are ranked; a few of them are enough to try the evaluation."""
        return self.documents[:REHEARSED] if self.rehearsal else self.documents

    def settle(self, ask: Callable[[Dataset], Outputs], validation: Dataset) -> dict[str, Any]:
        """How large the index is, and what int8 in place of fp32 costs on the validation rows."""
        index = self.index
        assert index
        queries = np.stack([of_row[0] for of_row in ask(validation)])
        found: dict[str, Any] = {"documents": len(index.ids), "vectors": self.config.index_vectors}
        found["bytes"] = index.vectors.nbytes
        found["int8_bytes"] = index.vectors.size + 4 * len(index.ids)  # and a scale for each
        for name, vectors in (("mrr_10", index.vectors), ("int8_mrr_10", rounded(index.vectors))):
            answers = [answer(one) for one in replace(index, vectors=vectors).search(queries)]
            sums = self.statistics(answers, list(validation["reference"])).sum(axis=0)
            found[name] = round(float(self.score(sums)["mrr_10"]), 6)
        return {"index": found}

    def finish(self, rows: Rows, outputs: Outputs) -> list[Prediction]:
        assert self.index
        return [answer(found) for found in self.index.search(np.stack([of_row[0] for of_row in outputs]))]

    # Evidence

    def statistics(self, predictions: list[Prediction], references: list[Any]) -> Any:
        ranked = [all_documents(prediction) for prediction in predictions]
        relevant = [{one["document"]: one["relevance"] for one in judged} for judged in references]
        return ranking.statistics(ranked, relevant)

    def score(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        return ranking.score(sums)

    def sections(self, records: list[dict[str, Any]]) -> dict[str, Any]:
        return evidence.sections_of(records, self.settings["index"], self.config.seed)

    def same(self, old: Prediction, new: Prediction, tolerance: float) -> bool:
        """The same scores from first to last; documents may have changed places where scores are as near as that."""
        pairs = zip(old.details["scores"], new.details["scores"], strict=True)
        return all(abs(one - other) <= tolerance for one, other in pairs)

    def in_words(self, value: list[Any], given: Any) -> str:
        """The beginning of the first document, and how many there are beside it that answer the query."""
        if not value:
            return "nothing"
        first = value[0]
        document = first["document"] if isinstance(first, dict) else first
        others = f" (and {len(value) - 1} more)" if isinstance(first, dict) and len(value) > 1 else ""
        return excerpt(self.text_of(document)) + others

    @property
    def names_documents(self) -> bool:
        """Whether training rows hold ids of documents in place of their texts."""
        starter = str(self.config.dataset).startswith("starter:")
        return bool(self.config.corpus_file or self.config.beir_folder or starter)

    def text_of(self, document: str) -> str:
        """The text of a document."""
        if self.corpus.texts:
            return self.corpus.texts[document]
        assert self.index
        return self.index.texts[self.index.number[document]]

    def in_lines(self, prediction: Prediction) -> list[str]:
        ranked = enumerate(self.passages(prediction), start=1)
        return [f"{rank:>3}  {score:.3f}  {excerpt(text)}" for rank, (text, score) in ranked]

    def passages(self, prediction: Prediction) -> list[tuple[str, float]]:
        pairs = zip(prediction.value, prediction.details["scores"], strict=True)
        return [(self.text_of(document), score) for document, score in pairs]

    def is_changed(self, old: list[str], new: list[str]) -> bool:
        """Whether another document comes first."""
        return bool((old or [])[:1] != (new or [])[:1])

    def about(self) -> str:
        return f"It ranks {self.settings['documents']:,} documents; their texts and vectors are saved with the model."

    def slices(self, rows: Dataset, train: Dataset) -> Mapping[str, Sequence[str | None]]:
        trained = {one["document"] for judged in train["reference"] for one in judged}
        return evidence.slices_of(rows, self.corpus.texts, trained)

    def perturb(self, rows: Dataset) -> dict[str, list[Any]]:
        return dict(evidence.perturbed(list(rows["query"]), self.config.seed))

    # Baselines

    def baselines(self, data: Data, source: Path) -> dict[str, Baseline]:
        from .baselines import fit_baselines

        return fit_baselines(self, [self.corpus.texts[one] for one in self.searched], self.searched, source)

    def load_baseline(self, folder: Path) -> Baseline:
        from .baselines import load

        assert self.index
        return load(self, self.index.texts, self.index.ids, folder)


TASK = SemanticSearch
