"""The training rows that are nearest to a question."""

import html

from common.models.neighbours import read_shown
from common.reporting.wording import excerpt
from common.run import Run
from common.system.errors import UserError
from common.task.contract import Prediction

# Characters of a row that are shown.
SHOWN = 140
PICTURE = "data:image/jpeg;base64,"


class NearestRows:
    """What a demo shows below an answer, where the run's folder holds the rows; a published one does not.

    Raises UserError where these are not as many as the model `remembered`.
    """

    def __init__(self, run: Run | None, remembered: int):
        self.rows = read_shown(run.nearest_rows) if run else []
        if run and self.rows and len(self.rows) != remembered:
            many = f"{len(self.rows):,} rows, and the model remembered {remembered:,}"
            raise UserError(f"{run.nearest_rows} holds {many}: get the run's files again.")

    def as_html(self, prediction: Prediction) -> str:
        """The rows nearest to the question, each once, with their references; unfolded where even they are far away."""
        found = dict.fromkeys(self.rows[index] for index in prediction.details.get("nearest", ()) if self.rows)
        if not found:
            return ""
        lines = "".join(f"<li><b>{html.escape(excerpt(label, SHOWN))}</b> {_shown(row)}</li>" for label, row in found)
        lead = "Even the nearest training rows are far away" if prediction.doubt else "The nearest training rows"
        is_open = " open" if prediction.doubt else ""
        return f'<details{is_open}><summary>{lead}</summary><ul class="nearest">{lines}</ul></details>'


def _shown(row: str) -> str:
    """A row's text, or its small picture."""
    if row.startswith(PICTURE):
        return f'<img src="{html.escape(row)}" alt="a training picture" height="48">'
    return html.escape(excerpt(row, SHOWN))
