"""A saved model for onnxruntime: its networks become one ONNX graph, whose results are first compared with torch's."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from textlstm.config import ExportFormat, ExportPrecision
from textlstm.errors import ConfigError, InputError, IntegrityError
from textlstm.inference.classifier import TextClassifier
from textlstm.inference.prediction import Scores
from textlstm.models.calibration.temperature import to_probabilities
from textlstm.saved_model import SavedModel, with_provenance

MOST_DIFFERENCE = 1e-5
"""How far a probability of an fp32 export may lie from torch's."""
NUM_SAMPLE_TEXTS = 256
_MOST_WORDS = 60
_UNSEEN = ("zxqv", "Überraschung", "\u65e5\u672c\u8a9e", "http://example.org/a", "12,345.67", "!?")


@dataclass(frozen=True, slots=True)
class Parity:
    """The agreement of an export with its model, over sample texts."""

    num_texts: int
    largest_difference: float
    """Of all probabilities: the model's, and those of its recurrent branch alone."""
    agreement: float
    """Part of the texts with the same labels and the same decision, in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A model whose networks are an ONNX graph; `saved_model.save_saved_model` writes it."""

    saved_model: SavedModel
    parity: Parity


def export_onnx(saved_model: SavedModel, *, precision: ExportPrecision, model_digest: str) -> Exported:
    """Return `saved_model` with an ONNX graph in place of its networks, once its results agree with torch's.

    Args:
        saved_model: A model with networks of torch.
        precision: fp32, or int8 for the weights; computations stay in fp32.
        model_digest: sha256 of the model, for the record.

    Raises:
        InputError: The model was exported before, or its texts are prepared by torch.
        ConfigError: The extra `onnx` is not installed.
        IntegrityError: fp32, and a probability differs from torch's by more than 1e-5.
    """
    if saved_model.is_exported:
        raise InputError("model_dir: was exported already; set model_dir to the model that it came from")
    # What torch must compute cannot be exported: tags in bf16, and spaCy models that run on torch.
    if saved_model.inference_text.pos and saved_model.text_fingerprint.tagger == "bf16":
        raise InputError(
            "model_dir: its texts are tagged in bf16, which needs torch; train with text.tagger_precision=fp32"
        )
    original = TextClassifier(saved_model, num_threads=1)
    if original.pipeline.needs_torch:
        raise InputError(
            f"model_dir: its spaCy model {saved_model.text_fingerprint.spacy_model} runs on torch; train with another"
        )
    # The graph takes the place of the networks' weights; expert, baseline and combiner stay.
    graph = _graph_of(saved_model, precision)
    kept = {name: value for name, value in saved_model.weights.items() if not name.startswith("network.")}
    exported = replace(saved_model, weights=kept, onnx_model=graph)
    # Both models score the same texts on one thread; int8 rounds the weights, so only fp32 has a bound.
    parity = _compare(original, TextClassifier(exported, num_threads=1), sample_texts(saved_model))
    if precision is ExportPrecision.fp32 and not parity.largest_difference <= MOST_DIFFERENCE:
        raise IntegrityError(
            f"model_dir: as ONNX its probabilities differ from torch's by up to {parity.largest_difference:.1e}, "
            f"{MOST_DIFFERENCE:.0e} is allowed; nothing was written"
        )
    record = {"format": str(ExportFormat.onnx), "precision": str(precision), "model_digest": model_digest}
    return Exported(with_provenance(exported, export=record | asdict(parity)), parity)


def sample_texts(saved_model: SavedModel) -> list[str]:
    """Return texts for the comparison of every export: words of the vocabulary, unseen ones, no words, far too many.

    Frequent words come more often, as in Zipf's law. The same model gives the same texts.
    """
    random = np.random.default_rng(0)
    words = [word for word in saved_model.vocabulary.tokens[2:] if not word.startswith("<")] or ["a"]
    # Chances by Zipf's law: the k-th most frequent word has a share of 1 / k.
    shares = 1 / np.arange(1, len(words) + 1)
    shares /= shares.sum()

    def text(num_words: int) -> str:
        chosen = [words[place] for place in random.choice(len(words), size=num_words, p=shares)]
        unseen = random.random(num_words) < 1 / 20
        return " ".join(
            _UNSEEN[place % len(_UNSEEN)] if is_unseen else word
            for place, (word, is_unseen) in enumerate(zip(chosen, unseen.tolist(), strict=True))
        )

    # Texts at the edges of what a network can get: empty, unknown, one word, cut off at the most tokens.
    edges = ["", " \n", "zxqv", words[0], " ".join(words[:3]), text(2 * saved_model.model.max_tokens)]
    return edges + [text(int(size)) for size in random.integers(1, _MOST_WORDS, size=NUM_SAMPLE_TEXTS - len(edges))]


def _graph_of(saved_model: SavedModel, precision: ExportPrecision) -> bytes:
    try:
        from textlstm.inference.onnx_network import build_model
    except ImportError as error:
        raise ConfigError("format=onnx: needs the extra onnx; pip install 'textlstm[onnx]'") from error
    networks = [saved_model.arrays(f"network.{index}.") for index in range(saved_model.num_networks)]
    model = build_model(saved_model.model, networks, precision=precision)
    serialized: bytes = model.SerializeToString()
    return serialized


def _compare(original: TextClassifier, exported: TextClassifier, texts: Sequence[str]) -> Parity:
    wanted, found = original.score(texts), exported.score(texts)
    pairs = zip(_probabilities(wanted, original), _probabilities(found, exported), strict=True)
    # `np.max` keeps a NaN, which Python's `max` may drop; NaN is no small difference.
    largest = float(np.max([np.abs(one - other).max() for one, other in pairs]))
    decisions = zip(
        original.decide(texts, wanted.probabilities), exported.decide(texts, found.probabilities), strict=True
    )
    same = [(one.labels, one.decision) == (other.labels, other.decision) for one, other in decisions]
    return Parity(len(texts), largest, float(np.mean(same)))


def _probabilities(scores: Scores, classifier: TextClassifier) -> tuple[np.ndarray, np.ndarray]:
    """Return the final probabilities and those of the recurrent branch alone: the expert must not hide its errors."""
    return scores.probabilities, to_probabilities(scores.recurrent_logits, classifier.saved_model.task)
