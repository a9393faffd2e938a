"""A byte-pair tokenizer: it starts from single bytes, and merges the most frequent pair of neighbours, again and again.

Gage (1994) compressed files this way; Sennrich, Haddow and Birch (2016) cut words with it; Radford et al. (2019)
applied it to bytes, so that no text is without tokens. Merges and ids are the ones that the `tokenizers` library
learns from the same text.
"""

import heapq
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import regex

Pair = tuple[int, int]

END = "<|endoftext|>"  # stands between two documents, as in GPT-2

# GPT-2's cut into words, which no merge crosses (Radford et al. 2019, section 2.2): English endings, then letters,
# digits or other signs with at most one space before them, then white space. The last space of a run is left for the
# word that follows it.
WORDS = regex.compile(r"'(?:[stmd]|re|ve|ll)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")

# GPT-2 writes each byte as a visible sign: itself where it is one, or else the next sign from 256 on.
# Ids follow that order.
VISIBLE = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
BYTES = [*VISIBLE, *sorted(set(range(256)) - set(VISIBLE))]  # id -> byte
SIGNS = {
    byte: chr(byte) if number < len(VISIBLE) else chr(256 + number - len(VISIBLE)) for number, byte in enumerate(BYTES)
}
IDS = {byte: number for number, byte in enumerate(BYTES)}


def written(token: bytes) -> str:
    """A token in GPT-2's visible signs: a space is Ġ, a new line Ċ."""
    return "".join(SIGNS[byte] for byte in token)


def merge(ids: Sequence[int], pair: Pair, new: int) -> list[int]:
    """The ids with `new` in place of each occurrence of the pair, from left to right."""
    merged, place = [], 0
    while place < len(ids):
        if ids[place] == pair[0] and place + 1 < len(ids) and ids[place + 1] == pair[1]:
            merged.append(new)
            place += 2
        else:
            merged.append(ids[place])
            place += 1
    return merged


def learn_merges(texts: Iterable[str], count: int) -> list[Pair]:
    """The first `count` merges, or fewer where no pair is left; each makes the next id, from 256 on.

    Sennrich, Haddow and Birch (2016), algorithm 1. Of equally frequent pairs the one with the smaller ids comes first.
    Equal words are counted once, and a merge looks only at the words that hold its pair.
    """
    counted = Counter(word for text in texts for word in WORDS.findall(text))
    words, times = [[IDS[byte] for byte in word.encode()] for word in counted], list(counted.values())
    pairs: Counter[Pair] = Counter()
    places: defaultdict[Pair, set[int]] = defaultdict(set)  # the words in which a pair stands, or has stood
    for number, word in enumerate(words):
        for pair in pairwise(word):
            pairs[pair] += times[number]
            places[pair].add(number)

    heap = [(-frequency, pair) for pair, frequency in pairs.items()]
    heapq.heapify(heap)
    merges: list[Pair] = []
    while heap and len(merges) < count:
        frequency, best = heapq.heappop(heap)
        if -frequency != pairs[best]:  # other merges have used up some of it since it was put on the heap
            if pairs[best] > 0:
                heapq.heappush(heap, (-pairs[best], best))
            continue
        new = len(BYTES) + len(merges)
        merges.append(best)
        changes: Counter[Pair] = Counter()
        for number in places.pop(best):
            before, after = words[number], merge(words[number], best, new)
            words[number] = after
            for pair in pairwise(before):
                changes[pair] -= times[number]
            for pair in pairwise(after):
                changes[pair] += times[number]
                places[pair].add(number)
        for pair, change in changes.items():
            pairs[pair] += change
            if change > 0:  # only pairs with the new id become more frequent, so no pair is on the heap twice
                heapq.heappush(heap, (-pairs[pair], pair))
    return merges


class Tokenizer:
    """Text to ids and back: 256 bytes, then the merges in their order, then END."""

    def __init__(self, merges: Sequence[Pair]) -> None:
        self.merges = list(merges)
        self.ranks = {pair: rank for rank, pair in enumerate(self.merges)}
        self.tokens = [bytes([byte]) for byte in BYTES]  # what each id stands for
        for left, right in self.merges:
            self.tokens.append(self.tokens[left] + self.tokens[right])
        self.end = len(self.tokens)
        self.tokens.append(END.encode())

    def encode(self, text: str) -> list[int]:
        """The ids of a text. Where it says END, it gets that one id."""
        known: dict[str, list[int]] = {}
        ids: list[int] = []
        for number, document in enumerate(text.split(END)):
            ids += [self.end] if number else []
            for word in WORDS.findall(document):
                if word not in known:
                    known[word] = self.encode_word(word)
                ids += known[word]
        return ids

    def encode_word(self, word: str) -> list[int]:
        """The merges that apply to one word, in the order in which they were learned."""
        ids = [IDS[byte] for byte in word.encode()]
        while len(ids) > 1:
            pair = min(pairwise(ids), key=lambda pair: self.ranks.get(pair, len(self.ranks)))
            if pair not in self.ranks:
                break
            ids = merge(ids, pair, len(BYTES) + self.ranks[pair])
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids; bytes that are no UTF-8, such as half a sign, become �."""
        return b"".join(self.tokens[number] for number in ids).decode(errors="replace")

    def save(self, folder: Path) -> None:
        """Write tokenizer.json and tokenizer_config.json, as `AutoTokenizer` reads them."""
        names = [written(token) for token in self.tokens[: self.end]]
        byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
        flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        content = {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [{"id": self.end, "content": END, **flags}],
            "normalizer": None,
            "pre_tokenizer": byte_level,
            "post_processor": {**byte_level, "trim_offsets": False},
            "decoder": byte_level,
            "model": {
                "type": "BPE",
                "dropout": None,
                "unk_token": None,
                "continuing_subword_prefix": "",
                "end_of_word_suffix": "",
                "fuse_unk": False,
                "byte_fallback": False,
                "ignore_merges": False,
                "vocab": {name: number for number, name in enumerate([*names, END])},
                "merges": [[names[left], names[right]] for left, right in self.merges],
            },
        }
        config = {
            "tokenizer_class": "GPT2Tokenizer",
            "bos_token": END,
            "eos_token": END,
            "unk_token": END,
            "add_prefix_space": False,
        }
        for name, value in (("tokenizer.json", content), ("tokenizer_config.json", config)):
            (folder / name).write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Tokenizer":
        """The tokenizer that `save` has written."""
        model = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]
        ids = model["vocab"]
        return cls([(ids[left], ids[right]) for left, right in model["merges"]])


class Characters:
    """One id for each character of a text, in the order of code points: the tinyshakespeare figure's tokenizer."""

    def __init__(self, text: str) -> None:
        self.signs = sorted(set(text))
        self.ids = {sign: number for number, sign in enumerate(self.signs)}

    def encode(self, text: str) -> list[int]:
        """The ids of a text.  Raises KeyError for a character that is not among them."""
        return [self.ids[sign] for sign in text]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids."""
        return "".join(self.signs[number] for number in ids)
