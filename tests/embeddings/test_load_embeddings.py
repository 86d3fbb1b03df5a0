"""`load_embeddings`: every kind of source, values written out, coverage, and damaged files."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from textlstm.embeddings import load_embeddings
from textlstm.embeddings.sources import read_spacy_vectors, read_vector_file, read_wordllama_vectors
from textlstm.errors import ConfigError, InputError
from textlstm.vocabulary import Vocabulary

WORDS = ["cat", "paris", "novel"]
GLOVE = "cat 1 2\nParis 3 4\n. . . 5 6\nother 7 8\n"


def _vocabulary() -> Vocabulary:
    return Vocabulary(["<pad>", "<unk>", *WORDS])


def _binary(rows: dict[str, list[float]], *, line_feeds: bool) -> bytes:
    data = f"{len(rows)} 2\n".encode()
    for word, numbers in rows.items():
        data += word.encode() + b" " + struct.pack("<2f", *numbers) + (b"\n" if line_feeds else b"")
    return data


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("glove.txt", GLOVE.encode()),
        ("fasttext.vec", b"4 2\n" + GLOVE.encode()),
        ("trailing_spaces.vec", b"4 2\ncat 1 2 \nParis 3 4 \n"),
        ("glove.txt.gz", gzip.compress(GLOVE.encode(), mtime=0)),
        ("word2vec.bin", _binary({"cat": [1, 2], "Paris": [3, 4]}, line_feeds=True)),
        ("gensim.bin", _binary({"cat": [1, 2], "Paris": [3, 4]}, line_feeds=False)),
        ("word2vec.bin.gz", gzip.compress(_binary({"cat": [1, 2], "Paris": [3, 4]}, line_feeds=True), mtime=0)),
    ],
)
def test_every_file_format_gives_the_same_vectors(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    vectors, found = read_vector_file(path, WORDS)
    assert vectors.tolist() == [[1, 2], [3, 4], [0, 0]]
    assert found.tolist() == [True, True, False]


def test_a_words_own_spelling_wins_over_its_capitals(tmp_path):
    path = tmp_path / "v.txt"
    path.write_text("PARIS 1 1\nParis 2 2\nparis 3 3\nparis 4 4\n")
    assert read_vector_file(path, ["paris"]).vectors.tolist() == [[3, 3]]


def test_words_with_spaces_are_read_whole(tmp_path):
    path = tmp_path / "v.txt"
    path.write_text(GLOVE)
    assert read_vector_file(path, [". . ."]).vectors.tolist() == [[5, 6]]


@pytest.mark.parametrize(
    ("name", "content", "problems"),
    [
        (
            "v.txt",
            b"cat 1 2\nParis 3\nnovel x 4\n",
            [
                "{path}:2: expected a word and 2 numbers, found 2 parts",
                "{path}:3: a vector holds something that is not a finite number",
            ],
        ),
        ("v.txt", b"cat 1 nan\n", ["{path}:1: a vector holds something that is not a finite number"]),
        ("v.txt", b"", ["{path}:1: expected a word and its numbers, or the counts of rows and dimensions"]),
        (
            "v.bin",
            b"cat 1 2\n",
            ["{path}:1: expected the counts of rows and dimensions. A text file must not be named .bin"],
        ),
        ("v.bin", b"2 2\ncat \x00\x00", ["{path}:1: the file ends inside this row; its first line promises 2 rows"]),
        (
            "v.bin",
            _binary({"cat": [1, float("inf")]}, line_feeds=True),
            ["{path}:1: a vector holds something that is not a finite number"],
        ),
    ],
)
def test_damaged_files_are_refused_with_every_problem(tmp_path, name, content, problems):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_vector_file(path, WORDS)
    assert list(caught.value.problems) == [problem.format(path=path) for problem in problems]


@pytest.mark.parametrize("name", ["missing.txt", "missing.bin", "folder", "broken.txt.gz"])
def test_unreadable_files_are_refused(tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken.txt.gz").write_bytes(b"no gzip")
    with pytest.raises(InputError, match=r"cannot be read as word vectors \(.*\)\. Check model\.embeddings\.$"):
        load_embeddings([str(tmp_path / name)], _vocabulary())


def test_sources_stand_side_by_side_at_one_scale(tmp_path):
    small, large = tmp_path / "small.txt", tmp_path / "large.txt"
    small.write_text("cat 1 1\nparis -1 1\n")
    large.write_text("cat 50 50 50\n")
    embeddings = load_embeddings([str(small), str(large)], _vocabulary())
    assert embeddings is not None
    matrix = embeddings.matrix
    assert (matrix.shape, matrix.dtype) == ((5, 5), np.float32)
    assert matrix[0].tolist() == [0] * 5
    assert np.allclose(matrix[2], [0.3] * 5)
    assert np.allclose(matrix[3, :2], [-0.3, 0.3])
    assert np.allclose(matrix[1, :2], [0, 0.3])
    assert matrix[4].any()
    assert embeddings.found.tolist() == [False, False, True, True, False]
    assert [str(coverage) for coverage in embeddings.coverage] == [
        f"{small}: 2 dimensions, 2 of 3 words (66.7%)",
        f"{large}: 3 dimensions, 1 of 3 words (33.3%)",
    ]


def test_words_without_a_vector_depend_on_the_seed_alone(tmp_path):
    path = tmp_path / "v.txt"
    path.write_text("cat 1 1\n")
    first, again, other = (load_embeddings([str(path)], _vocabulary(), seed=seed).matrix for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first[4], other[4])
    assert np.array_equal(first[2], other[2])


def test_no_source_is_no_matrix():
    assert load_embeddings([], _vocabulary()) is None


def test_wordllama_knows_meaning_and_averages_pieces():
    pytest.importorskip("wordllama")
    vectors, found = read_wordllama_vectors(["excellent", "good", "bad", "unbelievable", "<url>"])
    assert vectors.shape == (5, 256)
    assert found.tolist() == [True, True, True, True, False]
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1, 1, 0], abs=1e-6)

    def cosine(first: int, second: int) -> float:
        return float(vectors[first] @ vectors[second])

    assert cosine(0, 1) > cosine(0, 2) + 0.3
    from safetensors.numpy import load_file

    folder = Path(pytest.importorskip("wordllama").__file__).parent
    table = load_file(folder / "weights/l2_supercat_256.safetensors")["embedding.weight"].astype(np.float32)
    mean = table[[443, 6596, 10384, 519]].mean(axis=0)  # ▁un bel iev able
    assert np.allclose(vectors[3], mean / np.linalg.norm(mean), atol=1e-6)


def test_wordllama_is_not_installed(monkeypatch):
    monkeypatch.setattr("textlstm.embeddings.sources.find_spec", lambda name: None)
    with pytest.raises(ConfigError) as caught:
        load_embeddings(["wordllama"], _vocabulary())
    assert str(caught.value) == "model.embeddings: 'wordllama' is not installed. Install wordllama==0.4.0.post1."


def test_vectors_of_a_spacy_model(tmp_path):
    spacy = pytest.importorskip("spacy")
    nlp = spacy.blank("en")
    nlp.vocab.set_vector("cat", np.array([1.0, 2.0], dtype=np.float32))
    nlp.vocab.set_vector("Paris", np.array([3.0, 4.0], dtype=np.float32))
    nlp.to_disk(tmp_path / "model")
    vectors, found = read_spacy_vectors(str(tmp_path / "model"), WORDS, language="en")
    assert vectors.tolist() == [[1, 2], [3, 4], [0, 0]]
    assert found.tolist() == [True, True, False]
    matrix = load_embeddings([f"spacy:{tmp_path / 'model'}"], _vocabulary()).matrix
    assert np.allclose(matrix[2, 1] / matrix[2, 0], 2)


def test_spacy_models_without_vectors_are_named(tmp_path):
    spacy = pytest.importorskip("spacy")
    spacy.blank("en").to_disk(tmp_path / "model")
    with pytest.raises(ConfigError) as caught:
        read_spacy_vectors(str(tmp_path / "model"), WORDS, language="en")
    assert str(caught.value) == (
        f"model.embeddings: spaCy model '{tmp_path / 'model'}' has no vectors. Take a larger one, such as *_md."
    )
    with pytest.raises(ConfigError, match=r"^model\.embeddings: spaCy model 'xx_none' is not installed$"):
        read_spacy_vectors("xx_none", WORDS, language="en")
    with pytest.raises(
        ConfigError, match=r"^model\.embeddings: no installed spaCy model of 'xx' has vectors \(install"
    ):
        read_spacy_vectors("", WORDS, language="xx")
