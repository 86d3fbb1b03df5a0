"""Group `training`: the optimization loop."""

from dataclasses import dataclass

from textlstm.config.checks import MOST_WORKERS, check_fraction, check_positive, check_ranges, require
from textlstm.config.choices import Device, Imbalance, Quality, Schedule, TrainingPrecision


@dataclass
class TrainingConfig:
    """The optimization loop."""

    minutes: float = 5.0
    """Time that the choice of the `auto` settings may spend on the networks of this machine; a value that you set is
    kept even where it takes longer."""
    quality: Quality = Quality.balanced
    """fast: no option that multiplies the time; balanced: such options within a quarter of the minutes; best: within
    all of them."""
    epochs: int = 6
    """Passes over the training rows; auto: 4 to 8 by rows and tokens, up to 20 for few rows, fewer where the
    time is short."""
    batch_size: int = 16
    """Rows a step when texts have the average length; batches hold equal numbers of tokens, not of rows; auto: 8
    below 500 training rows, 16 below 3,000, 32 below 30,000, 64 below 100,000, else 128."""
    batch_tokens: int = 0
    """Tokens a step, padding included; 0 means batch_size rows. The learning rates, which are those of batch_size rows,
    grow with the square root of the batch; auto: on a GPU 16,384, fewer where an epoch would have fewer than 100 steps;
    on a CPU 0."""
    learning_rate: float = 4e-3
    """Peak learning rate of all weights but the embeddings."""
    embedding_learning_rate: float = 8e-3
    """Peak learning rate of the word embeddings; auto: 0.002 with pretrained vectors, else 0.008."""
    weight_decay: float = 0.01
    """Decoupled weight decay (AdamW)."""
    schedule: Schedule = Schedule.cosine
    """constant, cosine or one_cycle."""
    warmup_fraction: float = 0.1
    """Part of all steps in which the learning rate rises, in [0, 1)."""
    clip_norm: float = 1.0
    """Largest norm of the gradient; 0 means no clipping."""
    label_smoothing: float = 0.05
    """Part of the target spread over all classes, in [0, 1)."""
    ema_decay: float = 0.99
    """Decay of the moving average of weights that is evaluated and saved; 0 means none."""
    r_drop: float = 0.0
    """Weight of the R-Drop consistency loss (two passes with different dropout); 0 means none."""
    adversarial: float = 0.0
    """Length of the worst change of a text's word vectors that it is also trained on, in lengths of one vector, such as
    0.1; 0 means none; auto: 0.1 for short texts where the time allows."""
    imbalance: Imbalance = Imbalance.none
    """none, class_weights, balanced_sampler, focal or logit_adjustment."""
    focal_gamma: float = 2.0
    """Focusing strength of imbalance=focal."""
    patience: int = 3
    """Epochs without a better validation macro-F1 before training stops; 0 means never."""
    precision: TrainingPrecision = TrainingPrecision.auto
    """auto, fp32, tf32 (float32 products rounded as GPUs since Ampere can), or bf16 autocast with fp32 weights;
    auto means bf16 where the processor has kernels for it."""
    device: Device = Device.auto
    """auto, cpu or cuda."""
    num_threads: int = 0
    """CPU threads of the training; 0 means as many as its batches keep busy, up to all cores."""
    num_workers: int = 1
    """CPU processes that share each batch and the threads; 0 means one a core where batches and data are large."""
    deterministic: bool = False
    """Bit-for-bit repeatable training: one CPU thread, fp32, deterministic kernels."""
    checkpoint_seconds: float = 60.0
    """Seconds between checkpoints inside an epoch; one is always written at its end."""
    refit: bool = False
    """Then train anew on training and validation rows, for as many epochs as were best: no row is given away, in twice
    the time. Calibration and thresholds stay those of the first training; auto: where the time allows."""
    cross_fit: int = 0
    """Folds of all rows that calibration and thresholds are learned from, each row scored by a model that was trained
    without it; 0 means the validation rows do; auto: 5 with fewer than 50 validation rows,
    and with fewer than 200 where the time allows."""
    teacher_share: float = 0.5
    """Part of the target of a training row that is the teacher's answer, in [0, 1]; the rest is the row's own label."""
    teacher_folds: int = 3
    """Parts of the training rows, each of which a transformer answers for that has learned from the others alone."""
    teacher_epochs: int = 3
    """Passes over the training rows when a transformer is fine-tuned."""
    num_models: int = 1
    """Networks trained from different seeds whose probabilities are averaged; auto: 1, and 3 with quality=best where
    the time allows."""
    distil: bool = False
    """Let the num_models networks teach one, which alone is saved: each answers for the training rows that it has not
    learned from, and for data.unlabelled."""

    def __post_init__(self) -> None:
        """Check ranges."""
        check_ranges("training.", self, epochs=(1, 100_000), batch_size=(1, 1_000_000), num_models=(1, 1_000))
        for key in ("learning_rate", "embedding_learning_rate"):
            check_positive(f"training.{key}", getattr(self, key), most=1_000)
        for key in ("weight_decay", "clip_norm", "r_drop", "adversarial", "focal_gamma"):
            check_ranges("training.", self, **{key: (0, 1_000_000)})
        # Zero has a meaning of its own in each of these settings.
        workers = (0, MOST_WORKERS)
        check_ranges("training.", self, batch_tokens=(0, 100_000_000))
        check_ranges("training.", self, patience=(0, 100_000), num_threads=workers, num_workers=workers)
        for key in ("warmup_fraction", "label_smoothing", "ema_decay"):
            check_fraction(f"training.{key}", getattr(self, key))
        require(
            not self.distil or self.num_models > 1,
            f"training.distil needs several networks that teach one; set training.num_models=5, not {self.num_models}",
        )
        check_ranges("training.", self, teacher_folds=(2, 20), teacher_epochs=(1, 1_000))
        check_fraction("training.teacher_share", self.teacher_share, below_one=False)
        check_positive("training.checkpoint_seconds", self.checkpoint_seconds, most=10_000_000)
        check_positive("training.minutes", self.minutes, most=1_000_000)
        require(
            self.cross_fit == 0 or 2 <= self.cross_fit <= 20,
            f"training.cross_fit must be 0 or 2 to 20 folds, got {self.cross_fit}",
        )
