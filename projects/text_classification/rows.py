"""Where the rows come from: files, a Hub id, or a starter; checked and split."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from datasets import Dataset, concatenate_datasets

from common import checks, tables
from common.config import nearest
from common.data import Column, Data, check_columns, file_columns, labelled, load_hub_dataset, make_missing_splits, numbered, read_split
from common.errors import UserError
from common.tables import RowProblem

if TYPE_CHECKING:
    from projects.text_classification.task import TextClassificationConfig

SPLITS = ("train", "validation", "test")


def load_rows(config: "TextClassificationConfig") -> tuple[Data, list[str]]:
    """The checked splits with columns id, text, label (a number), perhaps group and named columns; and the labels."""
    if config.dataset and config.dataset.startswith("starter:"):
        sources, outside, columns, reference, terms = _from_starter(config)
    elif config.dataset:
        sources, outside, columns, reference, terms = _from_hub(config)
    else:
        sources, outside, columns, reference, terms = _from_files(config)

    findings: list[checks.Finding] = []
    splits, sums = {}, {}
    for split, (name, rows) in {**sources, **outside}.items():
        splits[split], sums[split] = read_split(split, name, rows, columns, findings)
    names = {split: name for split, (name, _) in {**sources, **outside}.items()}
    checks.stop_on_errors(findings)
    findings += checks.check_groups(splits, names)
    findings += checks.check_labels(splits, names)
    checks.stop_on_errors(findings)

    home_names = list(sources)
    if config.extra_train_file:
        names["extra"] = config.extra_train_file
        splits["extra"], sums["extra"] = _read_extra(config, findings)
        checks.stop_on_errors(findings)
    labels = sorted({label for split in ("train", "extra") if split in splits for label in splits[split]["label"]})
    splits = labelled(splits, labels)
    home = make_missing_splits({split: splits[split] for split in home_names}, config, key="text")
    if "extra" in splits:
        home["train"] = _add(splits["extra"], home, names["extra"], findings)
    for split in SPLITS:
        names.setdefault(split, f"the {split} split made from {names['train']}")
    everything = {**home, **{split: splits[split] for split in outside}}
    found, leaked = checks.check_duplicates(everything, "text", names)
    data = Data(
        splits=home,
        out_of_domain={split: splits[split] for split in outside},
        reference=reference,
        fingerprint=sums,
        findings=findings + found,
        leaked={split: sorted(ids) for split, ids in leaked.items()},
        terms=terms,
    )
    return data, labels


def text_cell(value: Any) -> str:
    """A text as it is.  Raises RowProblem on an empty cell or one that holds no text."""
    if value is None or (isinstance(value, str) and not value.strip()):
        raise RowProblem("an empty text (fill in or remove these rows)")
    if not isinstance(value, str):
        raise RowProblem(f"a text cell that holds {type(value).__name__}, not text (is it the right column? Name it with --text_column)")
    if "\0" in value:
        raise RowProblem("a NUL character in the text (the file is damaged or no text: save it again as UTF-8)")
    return value


def label_cell(value: Any) -> str:
    """A label as text; 3.0 is 3.  Raises RowProblem on an empty cell or a list."""
    if value is None or value != value or (isinstance(value, str) and not value.strip()):
        raise RowProblem("an empty label (fill in or remove these rows)")
    if isinstance(value, list | dict):
        raise RowProblem("a label that is a list or an object (give one label a row)")
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def any_cell(value: Any) -> str:
    """The value of a group or of a slice."""
    return "(empty)" if value is None or value == "" else str(value)


def _columns(config: "TextClassificationConfig") -> dict[str, Column]:
    columns = {
        "text": Column(config.text_column, "--text_column", text_cell),
        "label": Column(config.label_column, "--label_column", label_cell),
    }
    if config.group_column:
        columns["group"] = Column(config.group_column, "--group_column", any_cell)
    for name in config.slice_columns:
        columns[f"slice {name}"] = Column(name, "--slice_columns", any_cell)
    return columns


def _from_files(config: "TextClassificationConfig") -> Any:
    paths = {split: getattr(config, f"{split}_file") for split in SPLITS if getattr(config, f"{split}_file")}
    outside = dict(config.out_of_domain_files)
    if clash := outside.keys() & set(SPLITS):
        raise UserError(f"an out-of-domain set cannot be called {clash.pop()!r}: give it another name.")
    columns = _columns(config)
    files: dict[str, Path] = {}
    for split, path in {**paths, **outside}.items():
        file_columns(Path(path), columns)
        same = [other for other, file in files.items() if file.resolve() == Path(path).resolve() or _same_content(file, Path(path))]
        if same:
            raise UserError(f"{path} is given for {same[0]} and for {split}: nothing can be measured on rows that were trained on; leave one out.")
        files[split] = Path(path)
    sources = {split: (str(files[split]), tables.rows(files[split])) for split in files}
    home = {split: sources[split] for split in paths}
    return home, {split: sources[split] for split in outside}, columns, ", ".join(map(str, files.values())), ""


def _read_extra(config: "TextClassificationConfig", findings: list[checks.Finding]) -> tuple[Dataset, str]:
    """The rows of `extra_train_file`: texts and labels, whatever else the other rows have."""
    wanted = ("text", "label")
    path = Path(str(config.extra_train_file))
    columns = {key: column for key, column in _columns(config).items() if key in wanted}
    file_columns(path, columns)
    return read_split("extra", str(path), tables.rows(path), columns, findings)


def _add(extra: Dataset, home: dict[str, Dataset], name: str, findings: list[checks.Finding]) -> Dataset:
    """The training split with the extra rows, but for those whose text is measured on: the other splits stay as they were."""
    measured = np.concatenate([checks.content_hashes(home[split]["text"]) for split in ("validation", "test")])
    held_out = np.isin(checks.content_hashes(extra["text"]), measured)
    if held_out.any():
        rows = checks.row_numbers(extra, np.flatnonzero(held_out))
        problem = "texts that stand in the validation or test split"
        findings.append(checks.Finding("warning", name, rows, problem, "left out of the training rows, because nothing can be measured on those"))
    extra = extra.select(np.flatnonzero(~held_out))
    train = home["train"]
    for column in set(train.column_names) - set(extra.column_names):
        # A row that was added alone is a group of its own.
        extra = extra.add_column(column, extra["id"][:] if column == "group" else ["(empty)"] * len(extra))
    return concatenate_datasets([train, extra.cast(train.features)])


def _same_content(left: Path, right: Path) -> bool:
    from common.checkpoint import sha256

    return left.stat().st_size == right.stat().st_size and sha256(left) == sha256(right)


def _from_hub(config: "TextClassificationConfig") -> Any:
    loaded, reference = load_hub_dataset(config)
    columns = _columns(config)
    if "train" not in loaded:
        raise UserError(f"{config.dataset} has no split called 'train' (it has {', '.join(loaded)}): download it and give --train_file.")
    check_columns(str(config.dataset), loaded["train"].column_names, columns)
    sources = {split: (f"{config.dataset} ({split})", numbered(loaded[split])) for split in SPLITS if split in loaded}
    return sources, {}, columns, reference, ""


def _from_starter(config: "TextClassificationConfig") -> Any:
    from projects.text_classification import starter_data

    name = str(config.dataset).removeprefix("starter:")
    if name not in starter_data.STARTERS:
        raise UserError(f"there is no starter data set {name!r}{nearest(name, list(starter_data.STARTERS))}: there is {', '.join(starter_data.STARTERS)}.")
    starter = starter_data.STARTERS[name]()
    columns = {key: Column(key, "", convert) for key, convert in (("text", text_cell), ("label", label_cell), ("group", any_cell))}
    sources = {split: (f"{name} ({split})", enumerate(rows, start=1)) for split, rows in starter.splits.items()}
    outside = {split: (f"{name} ({split})", enumerate(rows, start=1)) for split, rows in starter.out_of_domain.items()}
    return sources, outside, columns, starter.reference, starter.terms
