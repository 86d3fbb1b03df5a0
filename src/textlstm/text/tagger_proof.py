"""The fast tagger proves itself before it is used: spaCy must give the same tags for the probe sentences."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from textlstm.config import Precision
from textlstm.text.fast_tagging import FastTagging
from textlstm.text.normalize import TokenNormalizer
from textlstm.text.pos import POS_TAGS
from textlstm.text.probe_texts import PROBE_TEXTS
from textlstm.text.tagger_weights import UnknownArchitecture

if TYPE_CHECKING:
    from spacy.language import Language


def proven_fast_tagging(
    nlp: "Language",
    *,
    normalizer: TokenNormalizer,
    kept_pos: NDArray[np.bool_],
    max_run: int,
    precision: Precision,
    device: str,
) -> FastTagging:
    """Return the fast tagger after it has given spaCy's own tags for the probe sentences.

    In bf16 one tag in a hundred may differ; in fp32 none may.

    Raises:
        UnknownArchitecture: Another architecture, or another tag.
    """
    with nlp.memory_zone():
        expected = [[(token.text, token.tag_, token.pos_) for token in doc] for doc in nlp.pipe(PROBE_TEXTS)]
    tagging = FastTagging(
        nlp, normalizer=normalizer, kept_pos=kept_pos, max_run=max_run, precision=precision, device=device
    )
    block = tagging.tag(PROBE_TEXTS)
    num_tokens = num_other = 0
    for start, end, tokens in zip(block.starts.tolist(), block.ends.tolist(), expected, strict=True):
        if end - start != len(tokens):
            raise UnknownArchitecture("it cuts a probe sentence into other tokens")
        tags, pos = block.tags[start:end].tolist(), block.pos[start:end].tolist()
        found = [(tagging.tag_names[tag], POS_TAGS[index]) for tag, index in zip(tags, pos, strict=True)]
        num_other += sum(pair != token[1:] for pair, token in zip(found, tokens, strict=True))
        num_tokens += len(tokens)
    allowed = 0 if precision is Precision.fp32 else num_tokens // 100
    if num_other > allowed:
        raise UnknownArchitecture(f"{num_other} of {num_tokens} tags of the probe sentences differ from spaCy's")
    return tagging
