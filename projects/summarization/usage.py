"""The lines of Python that ask a saved model without the kit."""

from typing import Any

from .abstractive import ChatWriter, Seq2SeqWriter

EXTRACTIVE = """\
from transformers import AutoModelForTokenClassification, AutoTokenizer

tokenizer, model = AutoTokenizer.from_pretrained("model"), AutoModelForTokenClassification.from_pretrained("model")

def summary(sentences):
    read = tokenizer(" ".join(sentences), truncation=True, return_offsets_mapping=True, return_tensors="pt")
    ends = read.pop("offset_mapping")[0, :, 1]
    logits, start, scores = model(**read).logits[0, :, 0], 0, []
    for sentence in sentences:
        scores.append(logits[(start < ends) & (ends <= start + len(sentence))].mean())
        start += len(sentence) + 1
    return sentences[max(range(len(sentences)), key=lambda index: scores[index])]

print(summary(["The first sentence.", "Another one."]))
"""

CHAT = """\
from transformers import pipeline

write = pipeline("text-generation", model="model")
chat = [{system}{{"role": "user", "content": "The text that is to be summarised."}}]
print(write(chat)[0]["generated_text"][-1]["content"])
"""

SEQ2SEQ = """\
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

tokenizer, model = AutoTokenizer.from_pretrained("model"), AutoModelForSeq2SeqLM.from_pretrained("model")
read = tokenizer({before}"The text that is to be summarised.", return_tensors="pt", return_token_type_ids=False)
print(tokenizer.decode(model.generate(**read)[0], skip_special_tokens=True))
"""


def usage_of(recipe: Any) -> str:
    """The lines for a model of that recipe."""
    instruction = recipe.config.instruction
    if isinstance(recipe, ChatWriter):
        return CHAT.format(system=f'{{"role": "system", "content": {instruction!r}}}, ' if instruction else "")
    if isinstance(recipe, Seq2SeqWriter):
        return SEQ2SEQ.format(before=f"{instruction!r} + " if instruction else "")
    return EXTRACTIVE
