"""Pages of made-up runs, one for each kind of metric."""

import pytest

from common.reporting import report
from common.reporting.card import write_pages
from common.run import Run
from tests.apps.conftest import axe, browser
from tests.common.reporting import synthetic

__all__ = ["axe", "browser"]


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """{project: its run}, with report and card."""
    folder = tmp_path_factory.mktemp("pages")
    results = {
        "classifier": synthetic.classifier(),
        "regression": synthetic.regression(),
        "spans": synthetic.spans(folder),
    }
    runs = {name: synthetic.write_run(folder / "runs" / name / "tiny", content) for name, content in results.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "REPOSITORY", folder)
        for run in runs.values():
            write_pages(run)
    return runs
