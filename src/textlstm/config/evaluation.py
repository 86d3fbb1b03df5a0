"""Group `evaluation`: what evaluation computes and guarantees."""

import math
from dataclasses import dataclass, field

from textlstm.config.checks import MOST_SEED, check_fraction, check_positive, check_ranges, require


@dataclass
class EvaluationConfig:
    """What evaluation computes and guarantees."""

    confidence: float = 0.95
    """Confidence of every interval and guarantee, in (0, 1)."""
    bootstrap_samples: int = 1000
    """Resamples behind each interval."""
    baseline: bool = True
    """Train TF-IDF + LinearSVC on the same rows and compare."""
    champion: bool = True
    """Compare with the registered champion on the same rows, where there is one with the same labels."""
    slice_columns: bool = True
    """Also cut the rows by the other columns of the files that have 2 to 20 different values."""
    max_error: float = 0.0
    """Guarantee: accepted rows are wrong at most this often; fixes the abstention threshold. 0 means never abstain.
    Where the validation rows cannot guarantee it, training says what they can, and the model decides every row."""
    label_shares: list[str] = field(default_factory=list)
    """Shares that labels have among the rows that the model will meet, where they are not those of the validation rows:
    label:share, as in `[oos:0.18]`; the other labels share the rest. Probabilities, threshold and guarantee are for
    these shares."""
    top_k: int = 3
    """k of top-k accuracy."""
    num_examples: int = 20
    """Hardest and most-confused examples shown in the report."""
    label_errors: bool = False
    """Look for wrong labels in the training rows by out-of-fold probabilities."""
    report: bool = True
    """Write figures and report.html beside metrics.json."""
    explained_texts: int = 60
    """At most this many texts are explained for the report and for explanations.html; 0 means none."""
    seed: int = 0
    """Seed of the bootstrap."""

    def __post_init__(self) -> None:
        """Check ranges."""
        check_positive("evaluation.confidence", self.confidence, most=1)
        check_fraction("evaluation.confidence", self.confidence)
        check_ranges(
            "evaluation.",
            self,
            bootstrap_samples=(10, 1_000_000),
            top_k=(1, 1_000_000),
            num_examples=(0, 100_000),
            explained_texts=(0, 100_000),
            seed=(0, MOST_SEED),
        )
        check_fraction("evaluation.max_error", self.max_error)
        # Called for its checks: a wrong entry is refused here and not only after the training.
        self.shares_by_label()

    def shares_by_label(self) -> dict[str, float]:
        """Return `label_shares` as numbers.

        Raises:
            ConfigError: an entry is no label:share, a label is named twice, or the shares are no parts of a whole.
        """
        shares: dict[str, float] = {}
        for entry in self.label_shares:
            label, _, number = entry.rpartition(":")
            try:
                share = float(number)
            except ValueError:
                share = math.nan
            require(
                bool(label) and 0 <= share <= 1,
                f"evaluation.label_shares: {entry!r} is not label:share with a share in [0, 1], as in oos:0.18",
            )
            require(label not in shares, f"evaluation.label_shares names {label!r} twice")
            shares[label] = share
        # Labels that are not named share the rest, so the sum may be below 1.
        total = math.fsum(shares.values())
        require(total <= 1 + 1e-6, f"evaluation.label_shares must add up to at most 1, got {total:g}")
        return shares
