"""The options of this project."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge

from common.config import Config, From0Below1, NonNegativeInt, PositiveFloat


@dataclass(frozen=True)
class SemanticSearchConfig(Config):
    """Options of semantic search.

    A row is a query and a document that answers it; rows with the same query are read as one with several documents.

    Args:
        beir_folder: your rows in the layout of BEIR: corpus.jsonl, queries.jsonl and qrels/{train,dev,test}.tsv.
        query_column: column with the queries.
        document_column: column with the documents, or with their ids where there is a `corpus_file`; a cell may hold a
            list of several.
        relevance_column: column that says how relevant the document is, from 0 for not at all; without one all are 1.
        negatives_column: column with a list of documents that look right and are not.
        corpus_file: all documents that are searched; without one they are those of the rows.
        corpus_id_column: column of the corpus with the ids.
        corpus_text_column: column of the corpus with the texts.
        corpus_title_column: column of the corpus with titles, which are read before the texts.
        query_prefix: what the model reads before each query, such as `query: ` for e5.
        document_prefix: what the model reads before each document.
        index_vectors: how the documents' vectors are kept and ranked: `int8` takes a quarter of the space.
        max_length: tokens of a query or a document that are read; what is longer is cut, and counted.
        similar_together: queries whose documents share words come into one batch, as harder negatives of each other.
        scale: factor on the cosines in the loss, 1 / temperature.
        hard_negatives: documents beside each positive that look right and are not: of `negatives_column`, else those
            that the pretrained model ranks high.
        negatives_margin: mined negatives score at most (1 - margin) times what the positive does: others may be right.
    """

    rows_from: ClassVar[tuple[str, ...]] = ("beir_folder", "train_file", "dataset")

    beir_folder: str | None = None
    query_column: str = "query"
    document_column: str = "document"
    relevance_column: str | None = None
    negatives_column: str | None = None
    corpus_file: str | None = None
    corpus_id_column: str = "_id"
    corpus_text_column: str = "text"
    corpus_title_column: str | None = None
    query_prefix: str | None = None
    document_prefix: str | None = None
    index_vectors: Literal["fp32", "int8"] = "fp32"
    max_length: Annotated[int, Ge(8)] = 128
    similar_together: bool = False
    scale: PositiveFloat = 20.0
    hard_negatives: NonNegativeInt = 0
    negatives_margin: From0Below1 = 0.05
    head_learning_rate: PositiveFloat | None = None  # nothing is new to the model
    global_batch_size: Annotated[int, Ge(2)] = 128
    epochs: Annotated[int, Ge(1)] = 3
