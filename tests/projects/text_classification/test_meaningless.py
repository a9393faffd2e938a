"""Texts that mean nothing are made of those that mean something."""

from projects.text_classification.meaningless import meaningless_texts

TEXTS = ["The soup was cold today", "Ein Lied, das bleibt!", "今天天气很好。", "42"]


def test_they_are_as_long_as_the_texts_and_of_their_letters_and_words() -> None:
    made = meaningless_texts(TEXTS, 10, seed=0)
    assert made == meaningless_texts(TEXTS, 10, seed=0) and made != meaningless_texts(TEXTS, 10, seed=1)
    assert {len(texts) for texts in made.values()} == {len(TEXTS)}
    letters = {letter for text in TEXTS for letter in text if letter.isalpha()}
    words = {word for text in TEXTS for word in text.split()}
    assert sorted(map(len, made["random letters"])) == sorted(map(len, TEXTS))
    assert {letter for text in made["random letters"] for letter in text if not letter.isspace()} <= letters
    assert sorted("".join(sorted(text)) for text in made["letters of each word shuffled"]) == sorted(
        "".join(sorted(text)) for text in TEXTS
    )
    assert {word for text in made["words of other texts at random"] for word in text.split()} <= words


def test_no_more_than_asked_for() -> None:
    assert {len(texts) for texts in meaningless_texts(TEXTS, 2, seed=0).values()} == {2}
