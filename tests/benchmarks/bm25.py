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

from common.evaluation.records import read_records
from common.metrics.intervals import Bootstrap
from common.predictor import Predictor
from common.run import Run
from common.task.contract import Prediction
from projects.semantic_search.baselines import BM25

CUTS = {"all words": None, "without stopwords": "en"}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    run = Run(parser.parse_args().run)
    task: Any = Predictor.load(run.folder).task
    test = task.data().splits["test"]
    texts = [task.corpus.texts[document] for document in task.searched]
    records = {record["id"]: record["prediction"] for record in read_records(run) if record["set"] == "test"}
    answers = [Prediction(records[row]["value"], details=records[row]["details"]) for row in test["id"]]
    references, queries = list(test["reference"]), list(test["query"])
    model = task.statistics(answers, references)
    bootstrap = Bootstrap(np.asarray(test["group"]), task.config.seed)
    name = task.metrics[0].name
    found = {"fine-tuned": {name: float(task.score(model.sum(axis=0))[name])}}
    for cut, stopwords in CUTS.items():
        lexical = task.statistics(Unstemmed(texts, task.searched, stopwords).predict(queries), references)
        score = float(task.score(lexical.sum(axis=0))[name])
        difference = bootstrap.difference(model, lexical, task.score, name, is_share=True)
        found[f"BM25, {cut}"] = {name: score, "the model is better by": difference}
    print(json.dumps(found, indent=1))


class Unstemmed(BM25):
    """BM25 over words as bm25s cuts them.

    Args:
        stopwords: the name of its list of words that are left out.
    """

    def __init__(self, texts: list[str], documents: list[str], stopwords: str | None):
        self.stopwords = stopwords
        super().__init__(texts, documents)

    def words(self, texts: list[str]) -> list[list[str]]:
        cut: Any = bm25s.tokenize(texts, stopwords=self.stopwords, return_ids=False, show_progress=False)
        return list(cut)


if __name__ == "__main__":
    main()
