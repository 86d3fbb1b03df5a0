"""The linear expert: equal to scikit-learn, plain tensors, held-out logits, odd label sets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textlstm.arrays.ragged import SplitWords
from textlstm.arrays.strings import pack_strings, unpack_strings
from textlstm.config import ModelConfig, Task
from textlstm.embeddings.sources import read_wordllama_table, vectors_of_expert
from textlstm.models.linear.char_ngrams import CharacterNgrams
from textlstm.models.linear.expert import ExpertFeatures, LinearExpert, held_out_logits
from textlstm.models.linear.word_ngrams import WordNgrams

feature_extraction = pytest.importorskip("sklearn.feature_extraction.text")
svm = pytest.importorskip("sklearn.svm")

TOPICS = {0: "goal match team coach season", 1: "market share price bank profit", 2: "film song actor album stage"}


def _corpus(num_texts: int, *, num_labels: int = 3, seed: int = 0) -> tuple[list[str], np.ndarray]:
    random = np.random.default_rng(seed)
    targets = random.integers(0, num_labels, num_texts)
    filler = ["the", "a", "of", "to", "In", "and", "it's", "über", "Ünder", "naïve", "x", "12", "..."]
    texts = []
    for target in targets.tolist():
        words = random.choice(TOPICS[target].split() + filler * 2, random.integers(0, 30))
        texts.append(" ".join(words.tolist()))
    return texts, targets


def _fit(texts: list[str], targets: np.ndarray, **changes: object) -> LinearExpert:
    pretrained = vectors_of_expert(changes.get("config", ModelConfig()))
    arguments = {
        "pretrained": pretrained,
        "num_labels": 3,
        "task": Task.single_label,
        "config": ModelConfig(),
        "seed": 0,
    } | changes
    return LinearExpert.fit(texts, targets, **arguments)


WORDS_AND_MARKS = r"(?u)\w+|[^\w\s]"


def _vectorizer(**settings: object):
    return feature_extraction.TfidfVectorizer(sublinear_tf=True, **settings)


@pytest.mark.parametrize("num_labels", [2, 3])
@pytest.mark.parametrize("characters", [False, True])
def test_expert_equals_scikit_learn(num_labels, characters):
    texts, targets = _corpus(300, num_labels=num_labels)
    new_texts = [*_corpus(100, seed=1)[0], "", "  ", "entirely novel words!", "GOAL Goal goal"]
    vectorizer = _vectorizer(ngram_range=(1, 2), token_pattern=WORDS_AND_MARKS)
    if characters:
        pipeline = pytest.importorskip("sklearn.pipeline")
        within = _vectorizer(analyzer="char_wb", ngram_range=(2, 5))
        vectorizer = pipeline.FeatureUnion([("words", vectorizer), ("characters", within)])
    machine = svm.LinearSVC(random_state=0).fit(vectorizer.fit_transform(texts), targets)
    expected = machine.decision_function(vectorizer.transform(new_texts))
    if num_labels == 2:
        expected = np.stack([-expected, expected], axis=1)
    config = ModelConfig(expert_char_ngrams=characters)
    logits = _fit(texts, targets, num_labels=num_labels, config=config).logits(new_texts)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected, atol=1e-5, rtol=0)


def test_baseline_equals_scikit_learn_with_its_defaults():
    texts, targets = _corpus(300)
    vectorizer = _vectorizer(analyzer="char_wb", ngram_range=(2, 5))
    machine = svm.LinearSVC(random_state=0).fit(vectorizer.fit_transform(texts), targets)
    config = ModelConfig(expert_c=10.0, expert_char_ngrams=True)
    baseline = LinearExpert.fit_baseline(texts, targets, num_labels=3, task=Task.single_label, seed=0)
    assert baseline.description == "characters 2-5"
    expected = machine.decision_function(vectorizer.transform(texts))
    np.testing.assert_allclose(baseline.logits(texts), expected, atol=1e-5, rtol=0)
    assert np.abs(_fit(texts, targets, config=config).logits(texts) - expected).max() > 0.01


def test_characters_across_words_equal_scikit_learn():
    texts, targets = _corpus(200)
    new_texts = [*_corpus(50, seed=1)[0], "", "  ", "\u65b0\u805e  \u65b0", "GOAL\tgoal"]
    pipeline = pytest.importorskip("sklearn.pipeline")
    words = _vectorizer(ngram_range=(1, 2), token_pattern=WORDS_AND_MARKS)
    across = _vectorizer(analyzer="char", ngram_range=(1, 3))
    vectorizer = pipeline.FeatureUnion([("words", words), ("characters", across)])
    machine = svm.LinearSVC(random_state=0).fit(vectorizer.fit_transform(texts), targets)
    expert = _fit(texts, targets, config=ModelConfig(expert_char_across=True))
    expected = machine.decision_function(vectorizer.transform(new_texts))
    np.testing.assert_allclose(expert.logits(new_texts), expected, atol=1e-5, rtol=0)
    again = LinearExpert.from_arrays(expert.to_arrays())
    np.testing.assert_array_equal(again.logits(new_texts), expert.logits(new_texts))


@pytest.mark.parametrize("naive_bayes", [False, True])
def test_vectors_are_columns_beside_the_ngrams(naive_bayes):
    texts, targets = _corpus(200)
    new_texts = [*_corpus(50, seed=1)[0], "", "entirely novel words!"]
    pretrained = read_wordllama_table()
    tokenizer = pytest.importorskip("tokenizers").Tokenizer.from_str(pretrained.tokenizer_json)

    def means(rows):
        found = np.zeros((len(rows), 256), dtype=np.float32)
        for i, text in enumerate(rows):
            ids = [piece for word in text.split() for piece in tokenizer.encode(word, add_special_tokens=False).ids]
            found[i] = pretrained.vectors[ids].mean(axis=0) if ids else 0
        return found

    config = ModelConfig(expert_vectors=0.5, expert_naive_bayes=naive_bayes)
    expert = _fit(texts, targets, config=config)
    scale = 0.5 / np.sqrt(np.square(means(texts)).sum(axis=1).mean())
    words = _vectorizer(ngram_range=(1, 2), token_pattern=WORDS_AND_MARKS)
    rows, new_rows = words.fit_transform(texts).toarray(), words.transform(new_texts).toarray()
    for label in range(3):
        inside, outside = (1 + (rows[targets == label] > 0).sum(0), 1 + (rows[targets != label] > 0).sum(0))
        ratio = np.log(inside / inside.sum()) - np.log(outside / outside.sum()) if naive_bayes else 1.0
        columns = np.hstack([rows * ratio, scale * means(texts)])
        machine = svm.LinearSVC(random_state=0).fit(columns, targets == label)
        expected = machine.decision_function(np.hstack([new_rows * ratio, scale * means(new_texts)]))
        # The solver stops within its tolerance, which is wider for the large numbers of naive Bayes.
        tolerance = 0.15 if naive_bayes else 2e-3
        np.testing.assert_allclose(expert.logits(new_texts)[:, label], expected, atol=tolerance, rtol=0)
    again = LinearExpert.from_arrays(expert.to_arrays())
    np.testing.assert_array_equal(again.logits(new_texts), expert.logits(new_texts))


def test_the_parts_of_words_add_up_to_what_vectors_add():
    texts, targets = _corpus(200)
    expert = _fit(texts, targets, config=ModelConfig(expert_vectors=1.0))
    text = "goal goal market \u00fcber entirely"
    parts = expert.vectors.parts(text)
    assert parts.words == ("goal", "market", "\u00fcber", "entirely")
    np.testing.assert_allclose(parts.margins.sum(axis=0), expert.vectors(SplitWords.of([text]))[0], atol=1e-5)


@pytest.mark.parametrize(("sentences", "description"), [(True, "characters 1-3"), (False, "words 1-2")])
def test_the_baseline_is_the_better_of_words_and_characters(sentences, description):
    random = np.random.default_rng(0)
    targets = random.integers(0, 2, 200)
    pairs = (("\u7403\u8d5b", "\u80a1\u5e02"), ("good", "bad"))
    shown = pairs[0] if sentences else pairs[1]
    filler = list("\u7684\u4e86\u662f\u5728\u6709") if sentences else ["xood", "yad", "goo", "ba"]
    joint = "" if sentences else " "
    texts = []
    for target in targets.tolist():
        words = [*random.choice(filler, 6).tolist(), shown[target]]
        texts.append(joint.join(random.permutation(words).tolist()))
    baseline = LinearExpert.fit_baseline(
        texts, targets, num_labels=2, task=Task.single_label, seed=0, spaceless=sentences
    )
    assert baseline.description == description
    if description == "words 1-2":
        vectorizer = _vectorizer(ngram_range=(1, 2))
        machine = svm.LinearSVC(random_state=0).fit(vectorizer.fit_transform(texts), targets)
        expected = machine.decision_function(vectorizer.transform(texts))
        np.testing.assert_allclose(baseline.logits(texts)[:, 1], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("num_labels", [2, 3])
def test_naive_bayes_scales_every_ngram_by_its_log_count_ratio(num_labels):
    texts, targets = _corpus(300, num_labels=num_labels)
    vectorizer = _vectorizer(ngram_range=(1, 2), token_pattern=WORDS_AND_MARKS)
    rows = vectorizer.fit_transform(texts)
    expected = np.zeros((len(texts), num_labels))
    for label in range(num_labels):
        inside, outside = (1 + (rows[targets == label] > 0).sum(0), 1 + (rows[targets != label] > 0).sum(0))
        ratio = np.log(inside / inside.sum()).A1 - np.log(outside / outside.sum()).A1
        machine = svm.LinearSVC(random_state=0).fit(rows.multiply(ratio).tocsr(), targets == label)
        expected[:, label] = machine.decision_function(rows.multiply(ratio))
    if num_labels == 2:
        expected[:, 0] = -expected[:, 1]
    logits = _fit(texts, targets, num_labels=num_labels, config=ModelConfig(expert_naive_bayes=True)).logits(texts)
    np.testing.assert_allclose(logits, expected, atol=1e-4, rtol=0)


TEXTS = st.lists(st.text(alphabet="ab cdÄß'-.\n1_\u2028", max_size=30), min_size=3, max_size=8)


def _dense(rows, num_features: int) -> np.ndarray:
    dense = np.zeros((len(rows.offsets) - 1, num_features), dtype=np.float32)
    dense[np.repeat(np.arange(len(dense)), np.diff(rows.offsets)), rows.features] = rows.values
    return dense


@pytest.mark.parametrize("all_tokens", [False, True])
@settings(max_examples=50, deadline=None)
@given(texts=TEXTS)
def test_any_text_has_the_word_row_of_scikit_learn(all_tokens, texts):
    train = [*texts[:2], "ab cd ab", "cd ab"]
    pattern = {"token_pattern": WORDS_AND_MARKS} if all_tokens else {}
    vectorizer = _vectorizer(ngram_range=(1, 2), **pattern).fit(train)
    ngrams = WordNgrams.fit(SplitWords.of(train), all_tokens=all_tokens)
    words = list(ngrams.words)
    names = words + [f"{words[pair // len(words)]} {words[pair % len(words)]}" for pair in ngrams.pairs.keys.tolist()]
    assert sorted(names) == vectorizer.get_feature_names_out().tolist()
    columns = [vectorizer.vocabulary_[name] for name in names]
    expected = vectorizer.transform(texts).toarray()[:, columns]
    np.testing.assert_allclose(_dense(ngrams.transform(SplitWords.of(texts)), len(names)), expected, atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(texts=TEXTS)
def test_any_text_has_the_character_row_of_scikit_learn(texts):
    train = [*texts[:2], "ab cd ab", "cd ab"]
    vectorizer = _vectorizer(analyzer="char_wb", ngram_range=(2, 5)).fit(train)
    ngrams = CharacterNgrams.fit(train)
    assert list(ngrams.ngrams) == vectorizer.get_feature_names_out().tolist()
    expected = vectorizer.transform(texts).toarray()
    for _ in range(2):  # the second time from the cache
        np.testing.assert_allclose(_dense(ngrams.transform(texts), ngrams.num_features), expected, atol=1e-6)


def test_a_word_without_end_costs_no_more_than_its_first_characters():
    ngrams = CharacterNgrams.fit(["ab cd"])
    endless, cut = (ngrams.transform(["ab" * half]) for half in (500_000, 50))
    assert np.array_equal(endless.values, cut.values)


def test_rare_ngrams_are_left_out_as_scikit_learn_does():
    texts, _ = _corpus(60)
    vectorizer = _vectorizer(ngram_range=(1, 2), min_df=3).fit(texts)
    assert WordNgrams.fit(SplitWords.of(texts), min_count=3).num_features == len(vectorizer.vocabulary_)


@pytest.mark.parametrize("characters", [False, True])
def test_arrays_round_trip_to_equal_logits(characters):
    texts, targets = _corpus(200)
    expert = _fit(texts, targets, config=ModelConfig(expert_char_ngrams=characters))
    arrays = expert.to_arrays()
    words = {"word_bytes", "word_offsets", "pairs", "idf", "all_tokens"}
    names = {f"words.{name}" for name in words} | {"weights", "bias"}
    if characters:
        names |= {"characters.ngram_bytes", "characters.ngram_offsets", "characters.idf"}
    assert set(arrays) == names
    assert {array.dtype for array in arrays.values()} == {np.dtype(kind) for kind in (np.uint8, np.int64, np.float32)}
    assert np.array_equal(LinearExpert.from_arrays(arrays).logits(texts), expert.logits(texts))


@pytest.mark.parametrize("strings", [[], [""], ["a", "", "über", "x" * 300, "\x00", "\ud800"]])
def test_strings_round_trip(strings):
    packed = pack_strings(strings)
    assert unpack_strings(packed.data, packed.offsets) == strings


def test_multi_label_is_one_machine_a_label():
    texts, first = _corpus(200)
    targets = np.eye(3)[first]
    targets[:, 2] = 1
    logits = _fit(texts, targets, task=Task.multi_label).logits(texts)
    matrix = _vectorizer(ngram_range=(1, 2), token_pattern=WORDS_AND_MARKS).fit_transform(texts)
    for label in (0, 1):
        machine = svm.LinearSVC(random_state=0).fit(matrix, targets[:, label] > 0)
        np.testing.assert_allclose(logits[:, label], machine.decision_function(matrix), atol=1e-5)
    assert set(logits[:, 2].tolist()) == {2.0}


def test_label_without_training_rows_is_never_chosen():
    texts, targets = _corpus(200, num_labels=2)
    logits = _fit(texts, targets, num_labels=3).logits(texts)
    assert set(logits[:, 2].tolist()) == {-2.0}
    assert set(logits.argmax(axis=1).tolist()) == {0, 1}


def test_a_single_class_in_train_is_always_chosen():
    assert _fit(["a b", "c d"], np.array([1, 1])).logits(["zz"]).tolist() == [[-2.0, 2.0, -2.0]]


def test_no_words_at_all_and_no_texts():
    expert = _fit(["", " "], np.array([0, 1]))
    assert expert.logits(["anything"]).shape == (1, 3)
    assert expert.logits([]).shape == (0, 3)


def test_held_out_logits_come_from_other_rows():
    """A word that names its own row tells nothing about it when the row is held out."""
    random = np.random.default_rng(0)
    targets = random.integers(0, 2, 120)
    texts = [f"unique{i}word" for i in range(120)]
    assert (_fit(texts, targets, num_labels=2).logits(texts).argmax(axis=1) == targets).all()
    assert (_held_out(texts, targets, num_labels=2).argmax(axis=1) == targets).mean() < 0.7
    texts, targets = _corpus(200)
    assert (_held_out(texts, targets, num_labels=3).argmax(axis=1) == targets).mean() > 0.8


def _held_out(texts: list[str], targets: np.ndarray, *, num_labels: int) -> np.ndarray:
    features = ExpertFeatures.fit(texts, num_labels, ModelConfig())
    folds = np.random.default_rng(0).permutation(len(texts)) % 5
    settings = {"num_labels": num_labels, "task": Task.single_label, "config": ModelConfig(), "seed": 0}
    return held_out_logits(features, features.rows(texts), targets, folds, **settings)


def test_every_setting_has_an_effect():
    texts, targets = _corpus(200)
    plain = _fit(texts, targets).logits(texts)
    for changed in (
        ModelConfig(expert_c=10.0),
        ModelConfig(expert_char_ngrams=True),
        ModelConfig(expert_naive_bayes=True),
    ):
        assert np.abs(_fit(texts, targets, config=changed).logits(texts) - plain).max() > 0.01


def test_blocks_of_texts_do_not_change_the_logits(monkeypatch):
    texts, targets = _corpus(100)
    expert = _fit(texts, targets)
    expected = expert.logits(texts)
    for limit in ("_BLOCK_TEXTS", "_BLOCK_CHARACTERS"):
        monkeypatch.setattr(f"textlstm.arrays.ragged.{limit}", 7)
        np.testing.assert_allclose(expert.logits(texts), expected, atol=1e-6)


def test_too_many_weights_leave_rare_ngrams_out(monkeypatch):
    texts, targets = _corpus(100)
    all_ngrams = _fit(texts, targets).table.num_features
    monkeypatch.setattr("textlstm.models.linear.expert.MAX_WEIGHTS", 3 * all_ngrams - 1)
    fewer = _fit(texts, targets).table.num_features
    assert fewer == WordNgrams.fit(SplitWords.of(texts), all_tokens=True, min_count=2).num_features
    assert fewer < all_ngrams


@pytest.mark.parametrize(
    "settings_", [{"expert_char_ngrams": True}, {"expert_char_ngrams": True, "expert_char_across": True}]
)
def test_a_text_alone_gets_the_bits_that_it_gets_among_others(settings_):
    texts, targets = _corpus(200)
    expert = _fit(texts, targets, config=ModelConfig(expert_vectors=1.0, **settings_))
    odd = ["", " ", "goal goal goal team goal", "naïve naïve \udc80 x", "unseenword " * 40, *texts[:100]]
    together = expert.logits(odd)
    alone = np.concatenate([expert.logits([text]) for text in odd])
    assert alone.tobytes() == together.tobytes()
    # The order of the sums matters: sorted columns give other bits, so the comparison can fail.
    rows = expert.table.transform(odd[5:])
    assert any(np.any(np.diff(rows.features[a:b]) < 0) for a, b in zip(rows.offsets, rows.offsets[1:], strict=False))
