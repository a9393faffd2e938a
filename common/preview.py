"""What the loss sees of a project's training rows, before anything is trained."""

from collections.abc import Sequence

from rich.text import Text

from common.data.features import encoded
from common.models.pretrained import pretrained
from common.system.errors import UserError
from common.system.progress import console, quiet_libraries, say
from common.system.terminal import printable
from common.task.projects import load_task_class, parse_options

# Rows that are shown.
ROWS = 3
# What is learned, where a terminal has colours, and the signs around it elsewhere.
LEARNED, SIGNS = "bold green", ("[learned> ", " <learned]")


def preview(project: str, arguments: Sequence[str]) -> None:
    """Print the first training rows as the model reads them, with what is learned of them marked.

    Raises UserError where a project learns something else than a part of what its model reads.
    """
    quiet_libraries()
    config = parse_options(project, arguments)
    task = load_task_class(project)(config)
    task.load_processor(pretrained(config.model, config.revision).folder)
    rows = task.data().splits["train"]
    features = encoded(task.encode, rows.select(range(min(ROWS, len(rows)))))
    shown = [(feature["id"], task.seen(feature)) for feature in features]
    if not any(parts for _, parts in shown):
        raise UserError(f"what {project} learns is no part of what its model reads: the rows are all there is to see.")
    for row_id, parts in shown:
        say(f"row {row_id.partition(':')[2]}", style="bold")
        console.print(marked(parts), end="\n\n")


def marked(parts: list[tuple[str, bool]]) -> Text:
    """A text whose learned parts are coloured, or between signs where there are no colours."""
    text = Text()
    for part, is_learned in parts:
        if is_learned and not console.is_live:
            text.append(printable(f"{SIGNS[0]}{part}{SIGNS[1]}"))
        else:
            text.append(printable(part), style=LEARNED if is_learned else "")
    return text
