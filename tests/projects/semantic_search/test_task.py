"""The run of a search: its loss, its answers, its evidence, and what else can load it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset

from common.data.features import encoded, in_memory
from common.inference import asking
from common.predictor import Predictor, load_task
from common.run import Run
from common.system.errors import UserError
from common.system.files import read_json
from projects.semantic_search.alike import places
from projects.semantic_search.config import SemanticSearchConfig
from projects.semantic_search.index import Index, quantised, restored
from projects.semantic_search.task import SemanticSearch
from tests.projects.semantic_search.rows import document, menus


def features(*rows: tuple[int, list[int]], negatives: tuple[int, ...] = ()) -> dict[str, list[Any]]:
    """Features of (positive, all that is relevant)."""
    return {
        "id": [f"train:{n}" for n in range(len(rows))],
        "positive": [positive for positive, _ in rows],
        "relevant": [relevant for _, relevant in rows],
        "negatives": [list(negatives) for _ in rows],
    }


def vectors(texts: int, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(texts, 2, 8, generator=random), dim=-1)


def task(**options: Any) -> SemanticSearch:
    return SemanticSearch(SemanticSearchConfig(train_file="none", **options))


def test_the_loss_is_the_cross_entropy_of_each_positive_among_all_documents() -> None:
    found = task(scale=20.0).contrast(given := vectors(4), features((0, [0]), (1, [1]), (2, [2]), (3, [3])))
    scores = 20 * given[:, 0] @ given[:, 1].T
    expected = torch.nn.functional.cross_entropy(scores, torch.arange(4), reduction="sum")
    assert float(found) == pytest.approx(float(expected), rel=1e-6)


def test_equal_positives_and_other_relevant_documents_are_no_negatives() -> None:
    given = vectors(3)
    given[1, 1] = given[0, 1]  # the same document
    same = task().contrast(given, features((7, [7]), (7, [7]), (2, [2])))
    scores = 20 * given[:, 0] @ given[:, 1].T
    without = [scores[0, [0, 2]], scores[1, [1, 2]], scores[2, [2, 0, 1]]]
    expected = sum(-torch.log_softmax(one, dim=0)[0] for one in without)
    assert float(same) == pytest.approx(float(expected), rel=1e-6)
    known = task().contrast(vectors(2), features((0, [0, 1]), (1, [1])))
    one = vectors(2)
    alone = -torch.log_softmax(20 * one[1, 0] @ one[:, 1].T, dim=0)[1]
    assert float(known) == pytest.approx(float(alone), rel=1e-6), "the first query has no negative left"


def test_the_run_beats_what_searches_by_words(finished_search_run: Run) -> None:
    results = read_json(finished_search_run.results)
    assert not results["failed"]
    assert results["metrics"]["mrr_10"]["value"] > results["baselines"]["bm25"]["mrr_10"]["value"] + 0.2
    assert results["groups"] and results["data"]["rows"]["test"] > results["groups"], "intervals are by document"
    assert {"bm25", "tfidf", "as_it_came"} == set(results["baselines"])
    assert set(results["sections"]) == {"hybrid", "words", "index"}
    assert results["sections"]["index"]["documents"] == 125


def test_no_document_of_a_test_query_was_a_positive(finished_search_run: Run) -> None:
    loaded = Predictor.load(finished_search_run.folder, precision="fp32").task
    data = loaded.data()
    documents = {
        split: {one["document"] for judged in rows["reference"] for one in judged}
        for split, rows in data.splits.items()
    }
    assert documents["train"] and documents["test"] and not documents["train"] & documents["test"]
    assert len(loaded.corpus) == 125, "all documents are searched, whatever split they belong to"


def test_predictions_are_rankings_of_the_whole_corpus(finished_search_run: Run) -> None:
    predictor = Predictor.load(finished_search_run.folder, precision="fp32")
    answer = predictor.predict([menus()[0]["query"]])[0]
    assert len(answer.value) == 10 == len(answer.details["scores"]) and len(answer.details["further"]) == 90
    assert answer.details["scores"] == sorted(answer.details["scores"], reverse=True)
    lines = predictor.task.in_lines(answer)
    assert len(lines) == 10 and lines[0].split()[0] == "1" and len(lines[0].split()) == 5


def test_the_folder_loads_as_a_sentence_transformer_with_the_same_vectors(finished_search_run: Run) -> None:
    from sentence_transformers import SentenceTransformer

    predictor = Predictor.load(finished_search_run.folder, precision="fp32")
    theirs = SentenceTransformer(str(finished_search_run.model), device="cpu", local_files_only=True)
    texts, queries = predictor.task.index.texts, [row["query"] for row in menus()[:20]]
    for column, given in (("document", texts), ("query", queries)):
        rows = in_memory(predictor.task.encode, {column: given})
        ours = np.stack([of_row[0] for of_row in predictor.outputs(rows, len(given))])
        assert np.abs(ours - theirs.encode(given, prompt_name=column, show_progress_bar=False)).max() < 1e-5
    assert theirs.similarity_fn_name == "cosine" and theirs.max_seq_length == 64


def test_verify_finds_nothing(finished_search_run: Run) -> None:
    from common.verify import verify

    for check in verify(finished_search_run.folder):
        assert not check.differences or check.name.startswith("pages"), check
        assert check.compared


def test_a_damaged_index_is_said_in_a_sentence(finished_search_run: Run, tmp_path: Path) -> None:
    lines = (finished_search_run.model / "documents.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    index = (finished_search_run.model / "index.safetensors").read_bytes()
    width = read_json(finished_search_run.model / "config.json")["hidden_size"]
    for texts, content in ((lines[1:], index), (lines, index[:-9]), (["[]\n", *lines[1:]], index), (lines, b"")):
        (tmp_path / "documents.jsonl").write_text("".join(texts), encoding="utf-8")
        (tmp_path / "index.safetensors").write_bytes(content)
        with pytest.raises(UserError, match="get its files again"):
            Index.load(tmp_path, width)
    ids, texts = [str(n) for n in range(3)], ["a", "b", "c"]
    plain = np.ones((3, width), dtype=np.float32)
    for forged in (Index(ids, texts, plain[:, 1:]), Index(ids, texts, plain * np.nan), Index(["1"] * 3, texts, plain)):
        forged.save(tmp_path)
        with pytest.raises(UserError, match="is not that of its model and documents"):
            Index.load(tmp_path, width)


def test_int8_vectors_are_saved_and_loaded_as_they_are_ranked(tmp_path: Path) -> None:
    some = vectors(50).flatten(0, 1).numpy()
    kept = restored(*quantised(some))
    assert 0 < np.abs(kept - some).max() < 0.01
    index = Index([f"{n:03}" for n in range(100)], ["text"] * 100, kept)
    index.save(tmp_path, int8=True)
    again = Index.load(tmp_path, some.shape[1])
    assert again.vectors == pytest.approx(kept, abs=1e-7) and again.ids == index.ids
    assert [one.documents for one in again.search(some[:9])] == [one.documents for one in index.search(some[:9])]


def test_names_of_documents_are_read_by_people(finished_search_run: Run) -> None:
    records = [json.loads(line) for line in finished_search_run.predictions.read_text(encoding="utf-8").splitlines()]
    results = read_json(finished_search_run.results)
    texts = {document(i, j, k) for i in range(5) for j in range(5) for k in range(5)}
    assert {row["prediction"] for row in results["worst_errors"]} <= texts
    assert set(records[0]["perturbed"]) == {"asked as a question", "a typing error in the longest word"}


def test_hard_negatives_are_near_but_not_too_near_and_never_answer_a_test_query(
    finished_search_run: Run,
) -> None:
    loaded = Predictor.load(finished_search_run.folder, precision="fp32").task
    loaded.config = replace(loaded.config, hard_negatives=3, negatives_margin=0.05)
    rows = loaded.data().splits["train"].select(range(40))
    features = encoded(loaded.encode, rows)
    model = loaded.prepare(finished_search_run.model, features)
    held_out = {loaded.number[document] for document in loaded.held_out}
    ask = asking(loaded, model.eval(), torch.device("cpu"))
    texts = [loaded.corpus.texts[document] for document in loaded.documents]
    vectors = np.stack([one[0] for one in ask(Dataset.from_dict({"id": loaded.documents, "document": texts}))])
    assert sum(map(len, loaded.mined.values())) > 40
    for feature, (query,) in zip(features, ask(rows), strict=True):
        mined = loaded.mined[feature["id"], feature["positive"]]
        scores = vectors @ query
        assert not set(mined) & (held_out | set(feature["relevant"]))
        assert all(scores[one] <= 0.95 * scores[feature["positive"]] + 0.02 for one in mined)  # bf16 finds them
    batch = loaded.collate(features[:8])
    chosen = loaded._documents(features[:8])
    assert chosen.shape == (8, 4) and len(batch["documents"]["input_ids"]) == 32
    assert torch.isfinite(loaded.loss(model, batch))


def test_documents_that_share_words_are_near_to_each_other() -> None:
    texts = [f"{word} {number}" for number in range(40) for word in ("rain", "soup", "drum", "wind")]
    found = places(texts)
    assert sorted(found.tolist()) == list(range(160)) and places(texts).tolist() == found.tolist()
    apart = [np.abs(np.diff(np.sort(found[kind::4]))).max() for kind in range(4)]
    assert max(apart) < 40, "those of a word stand together"
    for odd in (["a"], ["..."] * 50, ["rain"] * 50):
        assert sorted(places(odd).tolist()) == list(range(len(odd)))


def test_queries_for_similar_documents_come_into_one_batch(finished_search_run: Run) -> None:
    config = load_task(finished_search_run.folder).config
    task = SemanticSearch(replace(config, similar_together=True))
    rows = task.data().splits["train"]
    task.load_processor(finished_search_run.model)
    features = task.encode(rows[:])
    order = places([task.corpus.texts[document] for document in task.documents])
    assert features["place"] == order[features["positive"]].tolist()
