"""What the Hugging Face Hub could not give, and what to do about it."""

import re
from collections.abc import Iterator


def is_commit(revision: str | None) -> bool:
    """Whether a revision says exactly what is meant; a branch may name another commit tomorrow."""
    return revision is not None and re.fullmatch("[0-9a-f]{40}", revision) is not None


def commit_of(name: str | None, reference: str) -> str | None:
    """The commit of a repository of the Hub in what a run recorded of it (`name@commit, ...`); None if it is none."""
    found = re.match(rf"{re.escape(name or '')}@([0-9a-f]{{40}})\b", reference)
    return found[1] if found else None


def hub_errors() -> tuple[type[Exception], ...]:
    """What the Hub's libraries raise where something is missing, forbidden, damaged, or out of reach."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

    of_the_hub = (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled)
    return (*of_the_hub, httpx2.HTTPError, OSError, ValueError)


def reason(error: Exception, revision: str | None) -> str:
    """Why something could not be loaded, and what to do: `it is gated: ask for ...`."""
    import httpx2
    from huggingface_hub import errors

    causes = list(_causes(error))

    def is_one(*kinds: type[Exception]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    if is_one(errors.GatedRepoError) or "is a gated dataset" in str(error):  # datasets drops the Hub's own error
        return "it is gated: ask for access on its page of the Hub, then run `hf auth login`, or set HF_TOKEN"
    if is_one(errors.RevisionNotFoundError):
        return f"it has no revision {revision}: give the commit or the branch as its page shows it, or leave it out"
    if is_one(errors.RepositoryNotFoundError, errors.HFValidationError):
        return "there is none of this id, or it is private: check the id, or run `hf auth login`"
    if is_one(errors.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set, and it was not downloaded before: check the id and the network"
    if is_one(httpx2.TransportError, ConnectionError, errors.LocalEntryNotFoundError):
        return f"the Hub cannot be reached, or broke off ({type(causes[-1]).__name__}): check the id and the network"
    lines = [line for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2]).rstrip(".") or type(error).__name__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
