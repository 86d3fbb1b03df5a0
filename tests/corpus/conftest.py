"""Tiny labelled corpora and a way to prepare them."""

import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from textlstm.config import DataConfig, DataSource, Precision, Tagger, TextConfig
from textlstm.corpus.preparation.prepare import prepare_corpus
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.text.fingerprint import TextFingerprint
from textlstm.text.pipeline import TextPipeline

sys.path.insert(0, str(Path(__file__).parent))

Rows = Iterable[tuple[str, str]]


def tiny_rows(number: int, *, word: str = "row") -> list[tuple[str, str]]:
    """Return different texts whose label is `even` or `odd`."""
    return [(f"{word} number {i} says hello {word}{i}", ("even", "odd")[i % 2]) for i in range(number)]


@pytest.fixture
def rows() -> Callable[..., list[tuple[str, str]]]:
    """Make tiny rows."""
    return tiny_rows


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, Rows], str]:
    """Write (text, label) rows as JSONL; return the path."""

    def write_rows(name: str, rows: Rows) -> str:
        path = tmp_path / name
        lines = [json.dumps({"text": text, "label": label}, ensure_ascii=False) for text, label in rows]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return str(path)

    return write_rows


@cache
def _pipeline(settings: str, saved: TextFingerprint | None) -> TextPipeline:
    values = json.loads(settings)
    values |= {"tagger": Tagger(values["tagger"]), "tagger_precision": Precision(values["tagger_precision"])}
    return TextPipeline(TextConfig(**values), saved=saved)


@pytest.fixture
def one_spacy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make each text pipeline once for all tests; that takes longer than preparing a tiny corpus."""

    def cached(
        config: TextConfig, *, saved: TextFingerprint | None = None, device: str = "cpu", without_torch: bool = False
    ) -> TextPipeline:
        stop_words = Path(config.stop_words)
        if stop_words.exists():  # its words are not in the settings
            return TextPipeline(config, saved=saved, device=device, without_torch=without_torch)
        return _pipeline(json.dumps(asdict(config)), saved)

    for module in ("textlstm.corpus.preparation.tokenizing", "textlstm.text.workers"):
        monkeypatch.setattr(f"{module}.TextPipeline", cached, raising=False)
    monkeypatch.setattr(
        "textlstm.corpus.preparation.corpus_folder.code_digest", lambda: "fixed while sources are edited"
    )


@pytest.fixture
def prepare(tmp_path: Path, one_spacy: None) -> Callable[..., PreparedCorpus]:
    """Prepare files without tagging, in this process, into `tmp_path/prepared`."""

    def prepare_files(
        train: str | list[str], *, text: TextConfig | None = None, overwrite: bool = False, **settings: Any
    ) -> PreparedCorpus:
        names = {name: [settings.pop(name)] for name in ("validation", "test") if name in settings}
        data = DataConfig(
            source=DataSource.files, train=[train] if isinstance(train, str) else train, **names, **settings
        )
        return prepare_corpus(
            data,
            text or TextConfig(pos=False),
            prepared_dir=tmp_path / "prepared",
            num_workers=1,
            overwrite=overwrite,
        )

    return prepare_files
