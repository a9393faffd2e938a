"""A finished run of semantic search against BM25 without stems, as bm25s cuts words by itself.

    python -m tests.benchmarks.bm25 runs/semantic_search/starter

The project's own BM25 knows stems, and is harder to beat. Both are asked the same test queries over the whole corpus.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import bm25s
import numpy as np

from common.metrics.intervals import Bootstrap
from common.metrics.ranking import DEPTH, top
from common.predictor import Predictor
from common.run import Run
from common.task.contract import Prediction
from projects.semantic_search.index import Ranking, answer

CUTS: dict[str, dict[str, Any]] = {"all words": {"stopwords": None}, "without stopwords": {"stopwords": "en"}}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    run = Run(parser.parse_args().run)
    task: Any = Predictor.load(run.folder).task
    test = task.data().splits["test"]
    texts = [task.corpus.texts[document] for document in task.searched]
    references, model = list(test["reference"]), task.statistics(answers_of(run, list(test["id"])), test["reference"])
    bootstrap = Bootstrap(np.asarray(test["group"]), task.config.seed)
    name = task.metrics[0].name
    found = {"fine-tuned": {name: float(task.score(model.sum(axis=0))[name])}}
    for cut, options in CUTS.items():
        lexical = task.statistics(ranked(texts, task.searched, list(test["query"]), options), references)
        score = float(task.score(lexical.sum(axis=0))[name])
        difference = bootstrap.difference(model, lexical, task.score, name, is_share=True)
        found[f"BM25, {cut}"] = {name: score, "the model is better by": difference}
    print(json.dumps(found, indent=1))


def answers_of(run: Run, ids: list[str]) -> list[Prediction]:
    """What the run answered to the test rows, as predictions.jsonl says."""
    records = [json.loads(line) for line in run.predictions.read_text(encoding="utf-8").splitlines()]
    by_id = {record["id"]: record["prediction"] for record in records if record["set"] == "test"}
    return [Prediction(by_id[one]["value"], details=by_id[one]["details"]) for one in ids]


def ranked(texts: list[str], documents: list[str], queries: list[str], options: dict[str, Any]) -> list[Prediction]:
    """The documents of each query by BM25; one that shares no word with it is not found."""
    retriever = bm25s.BM25(method="lucene")
    retriever.index(bm25s.tokenize(texts, show_progress=False, **options), show_progress=False)
    found = []
    for words in bm25s.tokenize(queries, return_ids=False, show_progress=False, **options):
        known = [word for word in words if word in retriever.vocab_dict]
        scores = retriever.get_scores(known) if known else np.zeros(len(documents), np.float32)
        order = top(scores[None], DEPTH)[0]
        order = order[scores[order] > 0]
        found.append(answer(Ranking([documents[index] for index in order], scores[order].tolist())))
    return found


if __name__ == "__main__":
    main()
