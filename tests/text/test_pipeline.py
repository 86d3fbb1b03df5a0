import gc
import time
from dataclasses import replace

import numpy as np
import psutil
import pytest
import spacy

from textlstm.config import Tagger, TextConfig
from textlstm.errors import ConfigError, IntegrityError
from textlstm.text import pipeline as pipeline_module
from textlstm.text.pipeline import TextPipeline
from textlstm.text.tagger import fast_tagger
from textlstm.text.tagger.pos import POS_TAGS
from textlstm.text.tagger.weights import UnknownArchitecture
from textlstm.text.tokenizer import tokenizer

TEXTS = [
    "I can't   go to http://x.com/a or write to me@x.org now.\n",
    "",
    "Mr. Smith's 1,200 dogs do NOT bark :-)",
    " \n ",
]
TOKENS = [
    ["i", "ca", "n't", "go", "to", "<url>", "or", "write", "to", "<email>", "now", "."],
    [],
    ["mr.", "smith", "'s", "1,200", "dogs", "do", "not", "bark", ":-)"],
    [],
]


def _tokens(prepared):
    return [prepared.text_tokens(index) for index in range(len(prepared))]


def _engine(pipeline):
    return type(pipeline._engine).__name__


@pytest.fixture(scope="module")
def default():
    return TextPipeline(TextConfig())


def test_default_settings_use_the_fast_tagger(default):
    prepared = default.prepare(TEXTS)
    assert _engine(default) == "FastTagger"
    assert default.warnings == ()
    assert _tokens(prepared) == TOKENS
    assert [POS_TAGS[tag] for tag in prepared.pos[prepared.offsets[2] : prepared.offsets[3]]] == [
        "PROPN", "PROPN", "PART", "NUM", "NOUN", "AUX", "PART", "VERB", "PUNCT",
    ]  # fmt: skip
    assert (prepared.offsets.dtype, prepared.pos.dtype, prepared.num_removed.dtype) == (np.int64, np.uint8, np.int32)


def test_all_engines_give_the_same(default):
    plain = TextPipeline(TextConfig(pos=False))
    slow = TextPipeline(TextConfig(tagger=Tagger.spacy))
    assert (_engine(plain), _engine(slow)) == ("PlainTokens", "SpacyTagging")
    fast_result, slow_result = default.prepare(TEXTS), slow.prepare(TEXTS)
    assert _tokens(plain.prepare(TEXTS)) == _tokens(slow_result) == _tokens(fast_result)
    assert slow_result.pos.tolist() == fast_result.pos.tolist()
    assert slow_result.offsets.tolist() == fast_result.offsets.tolist()
    assert plain.prepare(TEXTS).pos is None


@pytest.mark.parametrize("tagger", [Tagger.fast, Tagger.spacy])
def test_filters_count_what_they_remove(tagger):
    pipeline = TextPipeline(TextConfig(tagger=tagger, stop_words="remove", drop_pos=["PUNCT"], normalize_numbers=True))
    prepared = pipeline.prepare(TEXTS)
    assert _tokens(prepared) == [
        ["n't", "<url>", "write", "<email>"],
        [],
        ["mr.", "smith", "<num>", "dogs", "not", "bark"],
        [],
    ]
    assert prepared.num_removed.tolist() == [8, 0, 3, 0]


def test_lemmas_take_spacys_pipeline_and_say_so():
    pipeline = TextPipeline(TextConfig(lemmas=True))
    assert _engine(pipeline) == "SpacyTagging"
    assert pipeline.prepare(["The dogs were barking"]).tokens == ["the", "dog", "be", "bark"]
    model = f"{pipeline.saved.spacy_model} {pipeline.saved.spacy_model_version}"
    assert pipeline.warnings == (
        f"the fast tagger cannot run {model}: it lemmatizes; spaCy's own tagger is used, which is several times slower",
    )


def test_lemmas_with_the_fast_tagger_are_a_config_error():
    with pytest.raises(ConfigError) as caught:
        TextPipeline(TextConfig(lemmas=True, tagger=Tagger.fast))
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith("text.tagger=fast: the fast tagger cannot run en_core_web_")
    assert caught.value.problems[0].endswith(": it lemmatizes; set text.tagger=auto or spacy")


def test_a_failed_proof_falls_back_with_a_warning(monkeypatch):
    def fail(*_, **__):
        raise UnknownArchitecture("3 of 358 tags of the probe sentences differ from spaCy's")

    monkeypatch.setattr(fast_tagger, "self_tested_fast_tagger", fail)
    pipeline = TextPipeline(TextConfig())
    assert _engine(pipeline) == "SpacyTagging"
    assert (
        "3 of 358 tags of the probe sentences differ from spaCy's; spaCy's own tagger is used" in pipeline.warnings[0]
    )
    assert _tokens(pipeline.prepare(TEXTS)) == TOKENS


def test_a_language_without_model_warns_and_has_no_pos():
    pipeline = TextPipeline(TextConfig(language="is", stop_words="keep"))
    assert not pipeline.saved.has_pos
    assert pipeline.warnings == (
        "no spaCy model for 'is' is installed: POS is off; install is_core_news_sm, or name an installed model in "
        "text.spacy_model",
    )
    assert pipeline.prepare(["Góðan daginn, Jón!"]).tokens == ["góðan", "daginn", ",", "jón", "!"]


def test_saved_record_names_everything(default):
    saved = TextPipeline(TextConfig(pos=False, stop_words="remove")).saved
    assert (saved.spacy_version, saved.spacy_model, saved.spacy_model_version) == (spacy.__version__, "", "")
    assert (saved.language, saved.has_pos, saved.tagger, saved.code_version) == ("en", False, "none", 1)
    assert "the" in saved.stop_words
    assert "not" not in saved.stop_words
    assert list(saved.stop_words) == sorted(saved.stop_words)
    assert (default.saved.has_pos, default.saved.tagger, default.saved.stop_words) == (True, "fp32", ())


def test_saved_stop_words_count_more_than_the_file(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("dogs\n", encoding="utf-8")
    config = TextConfig(pos=False, stop_words=str(path))
    saved = TextPipeline(config).saved
    path.unlink()
    assert TextPipeline(config, saved=saved).prepare(["dogs bark"]).tokens == ["bark"]


def test_another_spacy_model_version_is_refused(default):
    with pytest.raises(IntegrityError) as caught:
        TextPipeline(TextConfig(), saved=replace(default.saved, spacy_model_version="0.0.1"))
    name, version = default.saved.spacy_model, default.saved.spacy_model_version
    assert caught.value.problems == (
        f"the model was made with spaCy model {name} 0.0.1, but here is spaCy model {name} {version}; "
        f"install spaCy model {name} 0.0.1 or train again",
    )


PATHOLOGICAL = {
    "brackets": "(" * 20_000,
    "mixed brackets": "()[]{}<>"[::-1] * 2_500,
    "emoji": "".join(chr(0x1F300 + number % 700) for number in range(20_000)),
    "one long word": "".join(chr(97 + (number * number) % 26) for number in range(900_000)),
    "quotes and stops": "'.\"," * 5_000,
    "white space": " \n\t" * 100_000,
}


@pytest.mark.parametrize("name", PATHOLOGICAL)
@pytest.mark.parametrize("pos", [False, True])
def test_pathological_rows_cost_at_most_a_second(name, pos, default):
    pipeline = default if pos else TextPipeline(TextConfig(pos=False))
    pipeline.prepare(["warm up"])
    start = time.process_time()
    prepared = pipeline.prepare([PATHOLOGICAL[name]])
    assert time.process_time() - start < 1.0
    assert "".join(prepared.tokens) == "".join(PATHOLOGICAL[name].split())


@pytest.mark.parametrize("pos", [False, True])
def test_memory_stays_flat_with_ever_new_words(pos, monkeypatch):
    monkeypatch.setattr(tokenizer, "_MAX_WORDS", 10_000)
    monkeypatch.setattr(fast_tagger, "_MAX_FORMS", 5_000)
    pipeline = TextPipeline(TextConfig(pos=pos))
    process = psutil.Process()

    def memory(start):
        for block in range(start, start + 8):
            pipeline.prepare([f"new{block}x{number} w{number}q{block}" for number in range(1_000)])
        gc.collect()
        return process.memory_info().rss

    sizes = [memory(8 * round_number) for round_number in range(4)]
    assert sizes[3] < sizes[1] + 20_000_000


def test_lone_surrogates_become_replacement_characters(default):
    assert default.prepare(["lone \ud800 one", "fine \U0001f600"]).tokens == ["lone", "\ufffd", "one", "fine", "😀"]


@pytest.mark.parametrize(
    "config", [TextConfig(pos=False), TextConfig(), TextConfig(tagger=Tagger.spacy)], ids=["plain", "fast", "spacy"]
)
def test_a_pipeline_that_has_seen_many_words_starts_anew_and_goes_on_alike(config, monkeypatch):
    texts = [f"{text} extraordinary{i}): gnomes{i}):" for i, text in enumerate(TEXTS * 3)]
    expected = [TextPipeline(config).prepare([text]) for text in texts[:4]]
    pipeline = TextPipeline(config)
    monkeypatch.setattr(pipeline_module, "MAX_LEXEMES", len(pipeline._vocab) + 10)
    loads = []
    monkeypatch.setattr(
        pipeline_module,
        "load_pipeline",
        lambda config, *, saved, load=pipeline_module.load_pipeline: loads.append(1) or load(config, saved=saved),
    )
    found = [pipeline.prepare([text]) for text in texts]
    assert 1 <= len(loads) < len(texts)
    for one, other in zip(found, expected, strict=False):
        assert one.tokens == other.tokens
        assert one.num_removed.tolist() == other.num_removed.tolist()
        assert (one.pos is None) == (other.pos is None)
        assert one.pos is None or one.pos.tolist() == other.pos.tolist()
