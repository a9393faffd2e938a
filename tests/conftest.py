"""Fixtures that several tests share.  Nothing here or in any test uses the network."""

import csv
import functools
import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from common.run import Run

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")

REPOSITORY = Path(__file__).resolve().parent.parent

WORDS = {
    "weather": ["rain", "sun", "wind", "cloud", "storm"],
    "food": ["bread", "soup", "apple", "cheese", "pasta"],
    "music": ["drum", "song", "piano", "choir", "guitar"],
}
SHAPES = ("circle", "square", "triangle")
FILLING = ["the", "a", "is", "was", "very", "today", "here", "and", "some", "more"]


def sentences(count: int, seed: int = 0, labels: tuple[str, ...] = tuple(WORDS)) -> list[dict[str, str]]:
    """Distinct sentences of 5 to 14 words with two words that tell their label."""
    choose = random.Random(seed)
    rows: dict[str, dict[str, str]] = {}
    while len(rows) < count:
        label = choose.choice(labels)
        words = choose.choices(FILLING, k=choose.randint(3, 12)) + choose.choices(WORDS[label], k=2)
        choose.shuffle(words)
        text = " ".join(words) + f" {len(rows)}"
        rows[text] = {"text": text, "label": label}
    return list(rows.values())


def write_csv(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def once(train: "Callable[..., Run]") -> "Callable[..., Run]":
    """The function of a fixture that trains once, however many modules import the fixture."""
    trained: list[Run] = []

    @functools.wraps(train)
    def kept(**given: Any) -> "Run":
        if not trained:
            trained.append(train(**given))
        return trained[0]

    return kept


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random BERT of 2 layers and width 32, whose tokenizer knows the words of `sentences`."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny-model")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *FILLING, *(word for words in WORDS.values() for word in words)]
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **special).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


CHATML = """\
{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system
You answer.<|im_end|>
{% endif %}<|im_start|>{{ message['role'] }}
{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] }}<|im_end|>{% endgeneration %}
{% else %}{{ message['content'] }}<|im_end|>
{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


@pytest.fixture(scope="session")
def tiny_chat_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random Llama of 2 layers and width 64, with a byte-level tokenizer and a template for chats."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny-chat-model")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    signs = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=signs,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(
        [row["text"] + f" {row['label']} system user assistant" for row in sentences(200)], trainer
    )
    special = {"bos_token": signs[1], "eos_token": signs[2], "unk_token": signs[0], "pad_token": signs[2]}
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, chat_template=CHATML, model_max_length=256, **special
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer.get_vocab()),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
        initializer_range=0.1,
    )
    model = LlamaForCausalLM(config)
    _teach(model, PreTrainedTokenizerFast.from_pretrained(folder))
    model.save_pretrained(folder)
    return folder


def _teach(model: Any, tokenizer: Any) -> None:
    """A few steps in which the tiny model learns to answer sentences otherwise than the rows of tests want it."""
    import torch

    rows = sentences(400, seed=5)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    tokenizer.padding_side = "right"
    for start in range(0, 4 * 400, 16):
        chats = [
            f"<|im_start|>system\nYou answer.<|im_end|>\n<|im_start|>user\n{row['text']}<|im_end|>\n"
            f'<|im_start|>assistant\n{{"is": "{row["label"]}"}}<|im_end|>'
            for row in (rows[(start + index) % 400] for index in range(16))
        ]
        batch = tokenizer(
            chats, padding=True, return_tensors="pt", add_special_tokens=False, return_token_type_ids=False
        )
        labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
        model(**batch, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def draw_pictures(folder: Path, count: int, seed: int = 0) -> list[Path]:
    """`count` circles, squares and triangles, dark on light, as folder/LABEL/NN.png; every fourth is a JPEG."""
    from PIL import Image, ImageDraw

    choose = random.Random(seed)
    files = []
    for number in range(count):
        label = SHAPES[number % len(SHAPES)]
        width, height, radius = choose.randint(40, 64), choose.randint(40, 64), choose.randint(9, 16)
        ground, ink = ([choose.randrange(start, start + 110) for _ in range(3)] for start in (145, 0))
        image = Image.new("RGB", (width, height), tuple(ground))
        x, y = choose.randint(radius, width - radius), choose.randint(radius, height - radius)
        draw = ImageDraw.Draw(image)
        if label == "circle":
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tuple(ink))
        elif label == "square":
            draw.rectangle((x - radius, y - radius, x + radius, y + radius), fill=tuple(ink))
        else:
            draw.polygon([(x, y - radius), (x - radius, y + radius), (x + radius, y + radius)], fill=tuple(ink))
        file = folder / label / f"{number:03}{'.jpg' if number % 4 == 3 else '.png'}"
        file.parent.mkdir(parents=True, exist_ok=True)
        image.save(file)
        files.append(file)
    return files


@pytest.fixture(scope="session")
def tiny_image_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random ResNet of two layers that sees 32 x 32 pixels; its BatchNorm knows what `draw_pictures` draws."""
    import torch
    from PIL import Image
    from transformers import AutoImageProcessor, ResNetConfig, ResNetForImageClassification

    folder = tmp_path_factory.mktemp("tiny-image-model")
    side = {"height": 32, "width": 32}
    numbers = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3, "rescale_factor": 1 / 255, "resample": 3}
    options = {
        "image_processor_type": "ViTImageProcessor",
        "size": side,
        "do_resize": True,
        "do_rescale": True,
        "do_normalize": True,
        **numbers,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(options))
    torch.manual_seed(0)
    model = ResNetForImageClassification(
        ResNetConfig(embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1], layer_type="basic", num_labels=5)
    )
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    pictures = [Image.open(file).convert("RGB") for file in draw_pictures(tmp_path_factory.mktemp("seen"), 64, seed=99)]
    model.train()
    with torch.no_grad():
        for _ in range(40):
            model(processor(pictures, return_tensors="pt")["pixel_values"])
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session", autouse=True)
def own_tables(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the tests' tables out of the user's cache; the starters there are still found."""
    from common.system.files import cache_folder

    own = tmp_path_factory.mktemp("cache")
    for name in ("archives", "models"):
        (cache_folder() / name).mkdir(exist_ok=True)
        (own / name).symlink_to(cache_folder() / name)
    os.environ["KIT_CACHE"] = str(own)


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    """What tests write need not outlive the machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)
        yield


@pytest.fixture(autouse=True)
def fresh_accelerator() -> Iterator[None]:
    """accelerate keeps one state per Python process; each test may ask for another precision."""
    yield
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="session")
def assets() -> Path:
    """The folder of real data sets."""
    if "KIT_ASSETS" not in os.environ:
        pytest.skip("KIT_ASSETS does not say where the real data sets are")
    return Path(os.environ["KIT_ASSETS"])


@pytest.fixture(scope="session")
def finished_run(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> "Run":
    """A finished run on 300 sentences, with an out-of-domain file and a column to slice by."""
    from common.fine_tune import fine_tune
    from common.run import Run

    folder = tmp_path_factory.mktemp("project")
    rows = [{**row, "source": "web" if n % 3 else "mail"} for n, row in enumerate(sentences(300))]
    write_csv(folder / "train.csv", rows)
    write_csv(folder / "other.csv", [{**row, "source": "radio"} for row in sentences(60, seed=9)])
    options = [
        "--train_file",
        str(folder / "train.csv"),
        "--out_of_domain_files",
        f"radio={folder / 'other.csv'}",
    ]
    options += [
        "--slice_columns",
        "source",
        "--validation_fraction",
        "0.25",
        "--model",
        str(tiny_model),
        "--output_dir",
        str(folder / "runs"),
        "--run_name",
        "tiny",
    ]
    fine_tune("text_classification", [*options, "--epochs", "6", "--learning_rate", "3e-3", "--precision", "fp32"])
    return Run(folder / "runs/text_classification/tiny")


@pytest.fixture(scope="session")
def finished_image_run(tiny_image_model: Path, tmp_path_factory: pytest.TempPathFactory) -> "Run":
    """A finished run on 180 drawn pictures, which ends before it makes no mistakes any more."""
    from common.fine_tune import fine_tune
    from common.run import Run

    folder = tmp_path_factory.mktemp("pictures")
    draw_pictures(folder / "shapes", 180)
    options = [
        "--image_folder",
        str(folder / "shapes"),
        "--model",
        str(tiny_image_model),
        "--output_dir",
        str(folder / "runs"),
        "--run_name",
        "tiny",
    ]
    options += [
        "--validation_fraction",
        "0.36",
        "--epochs",
        "14",
        "--global_batch_size",
        "8",
        "--learning_rate",
        "1e-2",
        "--head_learning_rate",
        "1e-2",
        "--mirror",
        "true",
    ]
    fine_tune(
        "image_classification",
        [*options, "--precision", "fp32", "--early_stopping_patience", "0", "--data_workers", "2"],
    )
    return Run(folder / "runs/image_classification/tiny")
