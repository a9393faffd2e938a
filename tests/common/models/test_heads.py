"""A new head forgets what the pretrained one was made for."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, BertConfig, BertForSequenceClassification

from common.models import regression
from common.models.heads import new_head, probe, start_head

SMALL = {"vocab_size": 29, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}


@pytest.mark.parametrize("pretrained", [True, False])
@pytest.mark.parametrize("made_for", [None, "multi_label_classification", "regression", "single_label_classification"])
def test_scores_of_plain_transformers_sum_to_one_whatever_the_model_was_made_for(
    tmp_path: Path, tiny_model: Path, made_for: str | None, pretrained: bool
) -> None:
    from transformers import AutoTokenizer, pipeline

    labels = 1 if made_for == "regression" else 5
    BertForSequenceClassification(BertConfig(**SMALL, problem_type=made_for, num_labels=labels)).save_pretrained(
        tmp_path / "source"
    )
    model: Any = new_head(AutoModelForSequenceClassification, tmp_path / "source", ["a", "b", "c"], pretrained)
    model.save_pretrained(tmp_path / "saved")
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(tmp_path / "saved")
    assert json.loads((tmp_path / "saved" / "config.json").read_text()).get("problem_type") is None
    scores = pipeline("text-classification", str(tmp_path / "saved"), top_k=None)(["rain"])[0]
    assert {one["label"] for one in scores} == {"a", "b", "c"}
    assert sum(one["score"] for one in scores) == pytest.approx(1, abs=1e-6)
    assert all(one["score"] > 0 for one in scores)


def test_a_head_of_more_outputs_than_a_regression_can_have_starts_at_random(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = BertForSequenceClassification(BertConfig(**SMALL, num_labels=4))
    before = model.classifier.weight.detach().clone()
    monkeypatch.setattr(regression, "COEFFICIENTS", 4 * 16 - 1)
    start_head(None, model, None, np.zeros(0, np.int64), 4, seed=0)  # type: ignore[arg-type]
    assert torch.equal(model.classifier.weight, before)
    assert "the head starts at random: a regression of 4 classes" in capsys.readouterr().out


def test_rows_of_one_class_start_a_head_that_answers_it() -> None:
    inputs = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    weight, bias = probe(inputs, np.full(30, 2), 3)
    assert weight.shape == (3, 4) and bias.shape == (3,) and np.isfinite(weight).all()
    assert not weight.any()
