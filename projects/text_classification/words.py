"""What a word is, in scripts that put blanks between words and in those that do not."""

import regex

# Chinese and Japanese signs and emojis, then Thai, Lao, Khmer and Burmese: Unicode's own classes of what a line may
# be broken at without a blank.
UNSPACED = r"\p{Line_Break=Ideographic}\p{Line_Break=Conditional_Japanese_Starter}\p{Line_Break=Complex_Context}"
# A sign of those scripts with its marks, or two and more letters or digits between others.
WORD = regex.compile(rf"[{UNSPACED}]\p{{M}}*|[\w\p{{M}}\p{{N}}--[{UNSPACED}]]{{2,}}", regex.V1)
LETTER = regex.compile(r"\w")
UNSPACED_SIGN = regex.compile(rf"[{UNSPACED}]")


def words_of(text: str) -> list[str]:
    """The words of a text of at least two letters; where a script has no blanks between words, its single signs."""
    found: list[str] = WORD.findall(text)
    return found


def are_unspaced(texts: list[str]) -> bool:
    """Whether most letters of the texts belong to scripts without blanks between words."""
    letters, unspaced = (sum(len(pattern.findall(text)) for text in texts) for pattern in (LETTER, UNSPACED_SIGN))
    return 2 * unspaced > letters
