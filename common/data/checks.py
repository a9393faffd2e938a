"""What is wrong with the groups of rows, whatever the task."""

from collections.abc import Iterator

from datasets import Dataset

from common.data.findings import Finding, row_names
from common.metrics.intervals import FEWEST_GROUPS


def check_groups(splits: dict[str, Dataset], names: dict[str, str]) -> Iterator[Finding]:
    """Rows that name no group, and groups that are on both sides of a split; `names` says which file each split is."""
    if "group" not in splits["train"].column_names:
        return
    for split, rows in splits.items():
        pairs = enumerate(zip(rows["group"], rows["id"], strict=True))
        if alone := [index for index, (group, row_id) in pairs if group == row_id]:
            remedy = "each counts as a group of its own; name it if it belongs to one"
            yield Finding("warning", names[split], row_names(rows, alone), "no group", remedy)
    for seen in ("train", "validation"):
        known = set(splits[seen]["group"]) if seen in splits else set()
        for split, rows in splits.items():
            if split in ("train", seen):
                continue
            if both := row_names(rows, [index for index, group in enumerate(rows["group"]) if group in known]):
                yield Finding("error", names[split], both, f"groups that {names[seen]} has too", _group_remedy(split))


def _group_remedy(split: str) -> str:
    """What to do about groups on both sides.

    An out-of-domain set is never made from the training rows, and may count its users from 1, too.
    """
    if split in ("validation", "test"):
        return "give --train_file alone, so that the splits are made by group"
    return (
        "remove these rows on one side, or, if they are other groups that are named alike"
        ", write their names differently"
    )


def check_few_groups(splits: dict[str, Dataset], names: dict[str, str]) -> Iterator[Finding]:
    """Sets that are measured on, but have too few groups for an interval."""
    for split, rows in splits.items():
        if split in ("train", "validation") or "group" not in rows.column_names:
            continue
        if (groups := len(set(rows["group"]))) < FEWEST_GROUPS:
            problem = f"rows of {groups} {'group' if groups == 1 else 'groups'} only"
            remedy = f"intervals need {FEWEST_GROUPS} or more, and are given as 0 to 100 %: give rows of more groups"
            yield Finding("warning", names[split], [], problem, remedy)
