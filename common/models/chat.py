"""Chats as a language model reads them: rendered by the model's own template, with what is learned of them.

What is learned is found in the rendered text, by characters: each answer and the sign that ends its turn. So it does
not depend on marks that a template may lack, and a token that reaches over the edge of an answer is not learned.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from jinja2 import TemplateError

from common.system.errors import UserError
from common.system.signals import within

# {"role": "system", "user" or "assistant", "content": a text}
Message: TypeAlias = dict[str, str]
ANSWERER = "assistant"
# Tokens of a prompt below which an answer is said to nothing.
LEAST_PROMPT = 8
# Seconds that the first chats may take, of a few tokens each.
RENDERING = 10.0


@dataclass(frozen=True)
class Encoded:
    """The tokens of a chat.

    Attributes:
        ids: of the whole chat, with the turn's end where it has its answer.
        learned: the indices of the tokens of answers and of the signs that end them.
        answer: the index of the last answer's first token; the number of tokens where there is none.
        prompt: the tokens that the last answer follows, as a model is given them that has to write it.
        cut: tokens in the middle of the prompt that are left out.
        drifts: whether the prompt has other tokens alone than before its answer.
    """

    ids: list[int]
    learned: list[int]
    answer: int
    prompt: list[int]
    cut: int = 0
    drifts: bool = False


class ChatTemplate:
    """A tokenizer's chat template.

    Attributes:
        turn_end: the token that ends an answer, which a model has to learn to write.
    """

    def __init__(self, tokenizer: Any, name: str):
        """Raises UserError where the tokenizer of the model `name` has no template that it could learn to answer by."""
        self.tokenizer = tokenizer
        if not getattr(tokenizer, "chat_template", None):
            raise UserError(f"{name} has no chat template: choose a model for chats, often called -Instruct, or -it.")
        if not tokenizer.is_fast:
            raise UserError(f"{name} has no fast tokenizer: choose another --model.")
        self.signs = sorted({sign for sign in tokenizer.all_special_tokens if len(sign) > 1}, key=len, reverse=True)
        endless = UserError(
            f"the chat template of {name} comes to no end: choose another --model, or get its files again."
        )
        with within(RENDERING, endless):
            self.turn_end = self._find_turn_end(name)

    def _find_turn_end(self, name: str) -> int:
        asked = [{"role": "user", "content": "a"}]
        whole = self._rendered([*asked, {"role": ANSWERER, "content": "b"}])
        before = self._rendered(asked, to_answer=True)
        behind = whole.removeprefix(before).partition("b")[2]
        special = set(self.tokenizer.all_special_ids)
        found = [token for token in self._tokens([behind])["input_ids"][0] if token in special]
        if not whole.startswith(before) or not found:
            raise UserError(f"the chat template of {name} writes no end of an answer: choose another --model.")
        return int(found[0])

    def encode(self, chats: Sequence[Sequence[Message]], limit: int) -> list[Encoded]:
        """Chats that end with a question or with an answer, of at most `limit` tokens.

        Of longer ones the middle of what stands before the last answer is left out. An answer that does not fit with
        the least of a prompt is not learned at all.
        """
        texts, spans, prompts = [], [], []
        for given in chats:
            chat = [{**one, "content": self.literal(one["content"])} for one in given]
            text, answers = self._answers(chat)
            texts.append(text)
            spans.append(answers)
            asked = chat[:-1] if chat[-1]["role"] == ANSWERER else chat
            prompts.append(self._rendered(asked, to_answer=True))
        tokens = self._tokens(texts, return_offsets_mapping=True)
        alone = self._tokens(prompts)["input_ids"]
        return [
            _encoded(*of_chat, limit)
            for of_chat in zip(tokens["input_ids"], tokens["offset_mapping"], spans, alone, strict=True)
        ]

    def literal(self, text: str) -> str:
        """A text in which nothing is taken for one of the template's signs."""
        for sign in self.signs:
            text = text.replace(sign, f"{sign[0]} {sign[1:]}")
        return text

    def _answers(self, chat: list[Message]) -> tuple[str, list[tuple[int, int]]]:
        """The rendered chat, and the characters of each answer with the sign that ends it.

        Raises UserError where the template changes what stands before the last answer when it is there.
        """
        if chat[-1]["role"] != ANSWERER:
            return self._rendered(chat, to_answer=True), []
        text, spans = self._rendered(chat), []
        end = self.tokenizer.convert_ids_to_tokens(self.turn_end)
        for index, message in enumerate(chat):
            if message["role"] != ANSWERER:
                continue
            before = self._rendered(chat[:index], to_answer=True)
            close = text.find(end, len(before))
            if text.startswith(before) and close >= 0:
                spans.append((len(before), close + len(end)))
            elif index == len(chat) - 1:
                raise UserError(
                    "the chat template writes an answer otherwise than it asks for it: choose another --model."
                )
        return text, spans

    def _rendered(self, chat: Sequence[Message], to_answer: bool = False) -> str:
        """Raises UserError where the template refuses the chat, such as one with a system message."""
        try:
            return str(self.tokenizer.apply_chat_template(list(chat), tokenize=False, add_generation_prompt=to_answer))
        except TemplateError as error:
            roles = ", ".join(message["role"] for message in chat)
            raise UserError(
                f"the model's chat template refuses a chat of {roles} ({error}): choose another --model."
            ) from error

    def _tokens(self, texts: list[str], **options: Any) -> Any:
        """The template writes all signs, the first one included: the tokenizer adds none."""
        return self.tokenizer(texts, add_special_tokens=False, return_attention_mask=False, verbose=False, **options)


def _encoded(
    ids: list[int], offsets: list[tuple[int, int]], spans: list[tuple[int, int]], alone: list[int], limit: int
) -> Encoded:
    """A chat of at most `limit` tokens, given the offsets of its tokens, its answers, and its prompt's tokens alone."""
    if not spans:
        cut, kept = _shortened(len(ids), len(ids), limit)
        short = [ids[index] for index in kept]
        return Encoded(short, [], len(short), short, cut)
    learned = [
        index
        for index, (start, end) in enumerate(offsets)
        if start < end and any(first <= start and end <= last for first, last in spans)
    ]
    answer = next(index for index in learned if offsets[index][0] >= spans[-1][0])
    drifts = ids[:answer] != alone
    cut, kept = _shortened(len(ids), answer, limit)
    place = {index: at for at, index in enumerate(kept)}
    # What follows the gap, or the very first token, follows nothing that the model was shown.
    follows = {at for at, index in enumerate(kept) if at and kept[at - 1] == index - 1}
    chosen = [place[index] for index in learned if index in place and place[index] in follows]
    of_prompt = _shortened(len(alone), len(alone), limit)[1]
    return Encoded(
        [ids[index] for index in kept],
        chosen if answer in place and place[answer] >= LEAST_PROMPT else [],
        place.get(answer, 0),
        [alone[index] for index in of_prompt],
        cut,
        drifts,
    )


def _shortened(tokens: int, answer: int, limit: int) -> tuple[int, list[int]]:
    """How many tokens of the prompt are left out, and the indices of those that are kept; the last ones always are."""
    cut = max(0, tokens - limit)
    if not cut:
        return 0, list(range(tokens))
    if cut >= answer:
        return answer, list(range(tokens - limit, tokens))
    head = (answer - cut) // 2
    return cut, [*range(head), *range(head + cut, tokens)]
