"""The rows of the labelling benchmark: AG News test rows, then pieces of AG News, 20 Newsgroups and IMDB."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

WORDS_OF_PIECE = 37


def make_rows(corpora: Path, work: Path, *, num_rows: int) -> dict[str, str]:
    """Write the rows to label and the training files once; return all places that commands name."""
    places = {
        "rows": work / f"rows-{num_rows}.jsonl",
        "train": work / "train.jsonl",
        "test": work / "test.jsonl",
        "gold": work / "gold.json",
        "work": work,
    }
    if not places["rows"].exists():
        for split in ("train", "test"):
            (work / f"{split}.jsonl").write_bytes(
                gzip.decompress((corpora / "ag_news_10k" / f"{split}.jsonl.gz").read_bytes())
            )
        test = [json.loads(line) for line in places["test"].read_text(encoding="utf-8").splitlines()]
        places["gold"].write_text(json.dumps([row["label"] for row in test]))
        lines = [json.dumps({"id": index, "text": text}) for index, text in enumerate(pieces(corpora, test, num_rows))]
        places["rows"].write_text("\n".join(lines) + "\n")
    return {name: str(path) for name, path in places.items()}


def pieces(corpora: Path, test: list[dict[str, str]], num_rows: int) -> Iterator[str]:
    """Yield the texts of `test`, then pieces of longer texts, `num_rows` in all."""
    left = num_rows
    for row in test[:num_rows]:
        left -= 1
        yield row["text"]
    for name in ("ag_news_10k/train", "20ng/train", "20ng/test", "imdb/train", "imdb/test"):
        with gzip.open(corpora / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
            for line in lines:
                words = json.loads(line)["text"].split()
                for start in range(0, len(words), WORDS_OF_PIECE):
                    if left <= 0:
                        return
                    left -= 1
                    yield " ".join(words[start : start + WORDS_OF_PIECE])
