"""Does the survival view find the word that decided, when it came early? Fresh synthetic corpora, one a seed.

    python benchmarks/early_key_word.py [--seeds 201 202 ...] [--encoders lstm gru] [--output docs/explaining.md]

A corpus has filler words of uneven frequency, texts of very different lengths, and one key word in the first quarter
of each text that alone decides the label; numbers of words, keys and tokens are drawn from the seed. Networks and
training have the default settings, in three shapes: one that reads once and must remember (one direction, last state),
the default one (both directions, max and mean pooling; its forwards cell is looked at), and a small one of 24 units
without dropout that must remember. A seed counts as found when the word of which most is left at the end is the key
word in at least 95 % of 300 test texts. What was found is kept under .bench/early-key-word, so that an interrupted
call continues.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch

from experiments import BENCH, publish
from textlstm.config import Encoder, ModelConfig, Pooling, Task, TrainingConfig
from textlstm.explain.gates import surviving_share, trace_encoder
from textlstm.models.network.batch import DeviceSplit
from textlstm.models.network.inputs import EncodedSplit
from textlstm.models.network.network import NetworkSizes, TextNetwork, predict_logits
from textlstm.training.job import TrainingJob
from textlstm.training.loop import fit

NUM_TRAIN, NUM_VALIDATION, NUM_TEST = 2_000, 300, 300
BAR = 0.95
_FIRST_WORD = 2  # after <pad> and <unk>
SHAPES = {
    "one direction, last state": ModelConfig(bidirectional=False, pooling=Pooling.last),
    "default": ModelConfig(),
    "small: 24 units, one direction, last state": ModelConfig(
        hidden_size=24,
        bidirectional=False,
        pooling=Pooling.last,
        word_dropout=0.0,
        locked_dropout=0.0,
        head_dropout=0.0,
    ),
}


@dataclass(frozen=True, slots=True)
class KeyWordCorpus:
    """What is drawn once a seed."""

    num_fillers: int
    num_keys: int
    longest: int
    """Tokens of the longest texts; the shortest have 8."""
    frequencies: np.ndarray
    """(num_fillers,) chances of the filler words."""

    @classmethod
    def draw(cls, random: np.random.Generator) -> "KeyWordCorpus":
        """Return a corpus of 20 to 400 filler words, 2 to 6 key words and texts of up to 12 to 40 tokens."""
        num_fillers = int(random.integers(20, 401))
        ranks = random.permutation(num_fillers) + 1.0
        weights = ranks ** -random.uniform(0.0, 1.0)
        return cls(num_fillers, int(random.integers(2, 7)), int(random.integers(12, 41)), weights / weights.sum())

    @property
    def vocabulary_size(self) -> int:
        """Words, <pad> and <unk>."""
        return _FIRST_WORD + self.num_keys + self.num_fillers

    def rows(self, num_rows: int, random: np.random.Generator) -> tuple[EncodedSplit, np.ndarray]:
        """Return texts and the (num_rows,) place of the key word in each."""
        lengths = random.integers(8, self.longest + 1, num_rows)
        targets, places = random.integers(0, self.num_keys, num_rows), random.integers(0, lengths // 4)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        fillers = random.choice(self.num_fillers, size=offsets[-1], p=self.frequencies)
        words = (_FIRST_WORD + self.num_keys + fillers).astype(np.int32)
        words[offsets[:-1] + places] = _FIRST_WORD + targets
        return EncodedSplit(words, offsets.astype(np.int64), None, targets.astype(np.int64)), places


@dataclass(frozen=True, slots=True)
class Found:
    """One trained network on its test texts."""

    accuracy: float
    leading: float
    """Share of the texts in which most is left of the key word."""


def main() -> int:
    """Train, look, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(201, 211)))
    parser.add_argument("--encoders", nargs="+", default=["lstm", "gru"])
    parser.add_argument("--output", default="")
    arguments = parser.parse_args()
    lines = [
        "| cell | network | seeds found | share of texts, median | lowest | accuracy, lowest |",
        "|---|---|---|---|---|---|",
    ]
    kinds = [(Encoder(encoder), name) for encoder in arguments.encoders for name in SHAPES]
    found = [[look_once(seed, *kind) for kind in kinds] for seed in arguments.seeds]
    for (encoder, name), entries in zip(kinds, zip(*found, strict=True), strict=True):
        lines.append(row(f"{encoder.value} | {name}", entries))
    publish("\n".join(lines) + "\n", arguments.output, section="early-key-word")
    return 0


def row(name: str, found: Sequence[Found]) -> str:
    """Return a line of the table."""
    leading = [entry.leading for entry in found]
    return (
        f"| {name} | {sum(share >= BAR for share in leading)} of {len(found)} | {np.median(leading):.3f} "
        f"| {min(leading):.3f} | {min(entry.accuracy for entry in found):.3f} |"
    )


def look_once(seed: int, encoder: Encoder, name: str) -> Found:
    """Return what was found of a seed; look where that was not done."""
    path = BENCH / "early-key-word" / f"{encoder.value}, {name}, {seed}.json"
    if not path.exists():
        found = look(seed, encoder, SHAPES[name])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(found)), encoding="utf-8")
        print(f"{path.stem}: {found}", file=sys.stderr)
    return Found(**json.loads(path.read_text(encoding="utf-8")))


def look(seed: int, encoder: Encoder, model: ModelConfig) -> Found:
    """Train a network on the corpus of `seed` and see which word is left."""
    random = np.random.default_rng(seed)
    corpus = KeyWordCorpus.draw(random)
    train, _ = corpus.rows(NUM_TRAIN, random)
    validation, _ = corpus.rows(NUM_VALIDATION, random)
    test, places = corpus.rows(NUM_TEST, random)
    torch.manual_seed(seed)
    settings = replace(model, encoder=encoder)
    network = TextNetwork(settings, NetworkSizes(corpus.vocabulary_size, corpus.num_keys))
    config = TrainingConfig(num_threads=1)
    fit(TrainingJob(network, train, validation, config=config, task=Task.single_label, seed=seed))
    network.eval()
    accuracy = (predict_logits(network, test).argmax(axis=1) == test.targets).mean()
    batch = DeviceSplit(test, torch.device("cpu")).batch(torch.arange(NUM_TEST), width=int(test.lengths.max()))
    with torch.no_grad():
        forwards = trace_encoder(network.encoder, network.embed(batch), batch.lengths).cells[0]
    shares = surviving_share(forwards, batch.lengths)
    assert shares is not None
    return Found(float(accuracy), float((shares.argmax(dim=0).numpy() == places).mean()))


if __name__ == "__main__":
    sys.exit(main())
