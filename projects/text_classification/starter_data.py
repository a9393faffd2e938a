"""Labelled texts that arrive by pip: nothing is run of what is downloaded, nothing is committed."""

import io
import tarfile
from collections.abc import Callable

from common.data.packages import Archive, fetch
from common.data.sources import Starter
from common.data.tables import Row

SNIPPETS = Archive(
    "vaderSentiment",
    "vaderSentiment-2.5.tar.gz",
    "b960c954831f5ca58afee61780cc04ed48e551b91e783bfcbfb2c18bb8081a84",
    2_451_781,
)
RATINGS = "additional_resources/hutto_ICWSM_2014.tar.gz"
# Mean ratings run from -4 to 4; nearer to zero than this, the raters did not agree on a side.
LEAST_RATING = 0.5


def movie_snippets() -> Starter:
    """Sentences of movie reviews, positive or negative by the mean of at least 20 human ratings.

    Beside them sentences of other kinds, rated alike, as out-of-domain tests (Hutto & Gilbert 2014).
    """
    with tarfile.open(fileobj=io.BytesIO(fetch(SNIPPETS))) as package:
        inner = next(member for member in package.getmembers() if member.name.endswith(RATINGS))
        content = package.extractfile(inner)
        assert content
        with tarfile.open(fileobj=io.BytesIO(content.read())) as ratings:
            files = {
                name: _snippets(ratings, f"{file}_GroundTruth.txt")
                for name, file in (
                    ("movies", "movieReviewSnippets"),
                    ("amazon", "amazonReviewSnippets"),
                    ("newspaper", "nytEditorialSnippets"),
                    ("tweets", "tweets"),
                )
            }
    return Starter(
        splits={"train": files.pop("movies")},
        out_of_domain=files,
        reference=f"human-rated snippets in {SNIPPETS}",
        terms=(
            "the package is MIT-licensed; the sentences come from review sites, a newspaper and tweets: "
            "read at run time, not redistributed"
        ),
    )


def _snippets(archive: tarfile.TarFile, file: str) -> list[Row]:
    """Rows of one rating file: latin-1, tab-separated id, mean rating, text; sentences of one review share a group."""
    member = next(member for member in archive.getmembers() if member.name.endswith(file))
    content = archive.extractfile(member)
    assert content
    rows = []
    for line in content.read().decode("latin-1").splitlines():
        number, rating, text = line.split("\t", 2)
        if abs(float(rating)) >= LEAST_RATING:
            label = "positive" if float(rating) > 0 else "negative"
            rows.append({"text": text.strip(), "reference": label, "group": f"{file} {number.partition('_')[0]}"})
    return rows


def home_assistant() -> Starter:
    """Commands to a voice assistant with their intent, split by sentence template."""
    from common.data.voice_commands import sample_commands

    commands, version = sample_commands()
    rows = [
        {"text": command.text, "reference": command.intent, "group": f"template {command.template}"}
        for command in commands
    ]
    return Starter(
        splits={"train": rows},
        reference=f"commands sampled from the English templates of home-assistant-intents {version}",
        terms="Apache-2.0 (home-assistant-intents)",
    )


STARTERS: dict[str, Callable[[], Starter]] = {"movie-snippets": movie_snippets, "home-assistant": home_assistant}
