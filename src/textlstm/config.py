"""The only schema of every setting: names, types, defaults, ranges. Standard library only.

The literal string under a field is its documentation: `textlstm STAGE --help` and the docs pages print it. Choices
(named sets of values) live in `conf/` as YAML; nothing in a config file can name code.
"""

import math
from dataclasses import dataclass, field
from enum import StrEnum

from textlstm.errors import ConfigError


class DataSource(StrEnum):
    """Where labelled rows come from."""

    bbc_news = "bbc_news"
    files = "files"
    hub = "hub"


class Task(StrEnum):
    """One label a row, or any number of labels."""

    single_label = "single_label"
    multi_label = "multi_label"


class FileFormat(StrEnum):
    """How rows stand in a file; `auto` goes by the file's name."""

    auto = "auto"
    csv = "csv"
    tsv = "tsv"
    jsonl = "jsonl"
    parquet = "parquet"
    text = "text"
    folder = "folder"


class RareLabel(StrEnum):
    """What happens to a class with a single training row."""

    error = "error"
    drop = "drop"
    keep = "keep"


class Tagger(StrEnum):
    """Which implementation assigns parts of speech."""

    auto = "auto"
    fast = "fast"
    spacy = "spacy"


class Precision(StrEnum):
    """Number format of matrix products."""

    fp32 = "fp32"
    bf16 = "bf16"


class Encoder(StrEnum):
    """The recurrent family between embedding and pooling."""

    rnn = "rnn"
    lstm = "lstm"
    gru = "gru"
    cnn_lstm = "cnn_lstm"


class Pooling(StrEnum):
    """How the states of all time steps become one vector a text."""

    last = "last"
    mean = "mean"
    max = "max"
    max_mean = "max_mean"
    attention = "attention"


class Schedule(StrEnum):
    """How the learning rate moves over the steps."""

    constant = "constant"
    cosine = "cosine"
    one_cycle = "one_cycle"


class Imbalance(StrEnum):
    """What is done about classes of very different size."""

    none = "none"
    class_weights = "class_weights"
    balanced_sampler = "balanced_sampler"
    focal = "focal"
    logit_adjustment = "logit_adjustment"


class Device(StrEnum):
    """Where the network runs; `auto` takes the GPU where there is one."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Engine(StrEnum):
    """Who works on the shards of a labelling job."""

    local = "local"
    ray = "ray"


class Sampler(StrEnum):
    """How a sweep proposes settings."""

    tpe = "tpe"
    random = "random"
    grid = "grid"


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


def _fraction(key: str, value: float, *, below_one: bool = True) -> None:
    upper = value < 1 if below_one else value <= 1
    _require(value >= 0 and upper, f"{key} must be in [0, 1{')' if below_one else ']'}, got {value}")


def _at_least(key: str, value: float, least: float) -> None:
    _require(math.isfinite(value) and value >= least, f"{key} must be at least {least}, got {value}")


def _positive(key: str, value: float) -> None:
    _require(math.isfinite(value) and value > 0, f"{key} must be greater than 0, got {value}")


@dataclass
class DataConfig:
    """Labelled rows: where they are and which columns count."""

    source: DataSource = DataSource.bbc_news
    """bbc_news (packaged articles), files (your own), or hub (the `datasets` library)."""
    train: list[str] = field(default_factory=list)
    """Training files: paths, globs, a folder of class folders. Empty: none."""
    validation: list[str] = field(default_factory=list)
    """Validation files. Empty: a stratified part of train is taken."""
    test: list[str] = field(default_factory=list)
    """Test files. Empty: a stratified part of train is taken (stage evaluate: needed)."""
    name: str = ""
    """Hub dataset name or a `save_to_disk` folder; only for source=hub."""
    config: str = ""
    """Hub dataset configuration; empty means the only one."""
    format: FileFormat = FileFormat.auto
    """File format; auto goes by the file's name (.csv .tsv .jsonl .parquet .txt, also .gz and .zst)."""
    encoding: str = "utf-8"
    """Text encoding of CSV, TSV, JSONL and text files."""
    text_column: str = "text"
    """Column that holds the text."""
    label_column: str = "label"
    """Column that holds the one label of a row."""
    labels_column: str = ""
    """Column that holds several labels (a list, or text cut by label_separator); not empty means multi-label."""
    label_separator: str = ""
    """Separator of labels inside one text cell; empty means that the cell is a JSON list."""
    id_column: str = ""
    """Column with a unique row id; empty means the row number."""
    validation_fraction: float = 0.1
    """Part of the training rows taken for validation when no file is given, in (0, 1)."""
    test_fraction: float = 0.2
    """Part of the rows taken for test when no test file is given, in (0, 1)."""
    split_seed: int = 13
    """Seed of the split; the split depends on it and on the texts, never on the order of rows."""
    deduplicate: bool = False
    """Drop training rows whose text occurs earlier, before splitting."""
    drop_leaked: bool = False
    """Drop training rows whose text occurs in validation or test."""
    strict: bool = False
    """Refuse data with test texts that are also in train."""
    rare_label: RareLabel = RareLabel.error
    """A class with one training row: error, drop the row, or keep it."""
    max_classes: int = 10_000
    """More classes than this are refused."""
    max_chars: int = 1_000_000
    """Longer texts are rejected, in characters."""
    max_reject_fraction: float = 0.01
    """More rejected rows than this part of a file refuse the file, in [0, 1]."""
    max_expansion: int = 200
    """Largest ratio of unpacked to packed size of a compressed file."""
    limit: int = 0
    """Read at most this many rows of each split; 0 means all."""

    def __post_init__(self) -> None:
        """Check ranges."""
        _positive("data.validation_fraction", self.validation_fraction)
        _fraction("data.validation_fraction", self.validation_fraction)
        _positive("data.test_fraction", self.test_fraction)
        _fraction("data.test_fraction", self.test_fraction)
        _fraction("data.max_reject_fraction", self.max_reject_fraction, below_one=False)
        _at_least("data.max_classes", self.max_classes, 2)
        _at_least("data.max_chars", self.max_chars, 1)
        _at_least("data.max_expansion", self.max_expansion, 1)
        _at_least("data.limit", self.limit, 0)
        if self.source is not DataSource.files:
            given = [key for key in ("train", "validation", "test") if getattr(self, key)]
            _require(not given, f"data.{given[0] if given else ''} is only read with data=files; add data=files")
        if self.source is DataSource.hub:
            _require(bool(self.name), "data=hub needs data.name, such as data.name=ag_news")


@dataclass
class TextConfig:
    """From text to tokens and parts of speech; stored with the model."""

    language: str = "en"
    """spaCy language code."""
    spacy_model: str = ""
    """Installed spaCy package to use; empty means the first one found for the language."""
    pos: bool = True
    """Tag parts of speech; false leaves the tagger out and is several times faster."""
    tagger: Tagger = Tagger.auto
    """spacy runs nlp.pipe; fast runs the same weights in large batches; auto takes fast where its tags prove equal."""
    tagger_precision: Precision = Precision.fp32
    """Number format of the fast tagger."""
    stop_words: str = "keep"
    """keep, remove (the packaged list, negations stay), or the path of a file with one word a line."""
    keep_pos: list[str] = field(default_factory=list)
    """Keep only tokens with these universal POS tags, such as [NOUN,VERB]; empty keeps all. Needs pos=true."""
    drop_pos: list[str] = field(default_factory=list)
    """Drop tokens with these universal POS tags, such as [PUNCT]. Needs pos=true."""
    lemmas: bool = False
    """Use lemmas in place of word forms; needs an installed spaCy model with a lemmatizer (slow)."""
    lowercase: bool = True
    """Lower-case tokens."""
    normalize_numbers: bool = False
    """Replace every token that looks like a number by <num>."""
    normalize_urls: bool = True
    """Replace every token that looks like a URL or an e-mail address by <url> or <email>."""
    max_run: int = 200
    """A run of characters without white space longer than this is cut into pieces of this length."""

    def __post_init__(self) -> None:
        """Check ranges."""
        _at_least("text.max_run", self.max_run, 20)
        _require(bool(self.stop_words), "text.stop_words must be keep, remove or the path of a file")
        if self.keep_pos or self.drop_pos:
            _require(self.pos, "text.keep_pos and text.drop_pos need text.pos=true")


@dataclass
class ModelConfig:
    """The network: embedding, encoder, pooling, head, and the linear expert beside it."""

    encoder: Encoder = Encoder.lstm
    """rnn, lstm, gru, or cnn_lstm (convolution and pooling over the sequence before an LSTM)."""
    bidirectional: bool = True
    """Read each text forwards and backwards."""
    hidden_size: int = 128
    """Units of each direction."""
    num_layers: int = 1
    """Stacked recurrent layers."""
    pooling: Pooling = Pooling.max_mean
    """last, mean, max, max_mean or attention; padding never takes part."""
    embedding_size: int = 100
    """Dimensions of word embeddings; with pretrained vectors, their own size counts."""
    embeddings: list[str] = field(default_factory=list)
    """Pretrained vectors, concatenated: wordllama, spacy[:NAME], or files (GloVe, word2vec, .vec). Empty: random."""
    freeze_epochs: int = 0
    """Epochs during which pretrained vectors stay fixed; -1 means always."""
    vocabulary_size: int = 50_000
    """At most this many words, the most frequent."""
    min_count: int = 1
    """Words seen less often in train become <unk>."""
    subword_buckets: int = 0
    """Vectors shared by the hashed character n-grams of unknown words; 0 means one <unk> vector for all of them."""
    max_tokens: int = 400
    """Longer texts keep their first three quarters and last quarter of this many tokens."""
    pos_embedding_size: int = 0
    """Dimensions of the part-of-speech embedding beside the word embedding; 0 means none. Needs text.pos=true."""
    char_cnn_size: int = 0
    """Filters of a CNN over the characters of each token, beside the word embedding; 0 means none."""
    char_embedding_size: int = 16
    """Dimensions of the character embedding under char_cnn_size."""
    conv_size: int = 128
    """Filters of the convolution of encoder=cnn_lstm."""
    conv_width: int = 5
    """Tokens under one filter of encoder=cnn_lstm."""
    conv_pool: int = 2
    """Time steps that max pooling joins after the convolution of encoder=cnn_lstm."""
    dense_size: int = 0
    """Units of a dense ReLU layer before the output layer; 0 means none."""
    word_dropout: float = 0.1
    """Chance that a token is replaced by <unk> in training."""
    embedding_dropout: float = 0.0
    """Chance that a word type loses its vector for a whole training batch."""
    locked_dropout: float = 0.4
    """Dropout of embedding dimensions (and between stacked layers), one mask a text for all time steps."""
    recurrent_dropout: float = 0.0
    """Dropout of recurrent weights (weight-drop), one mask a batch."""
    head_dropout: float = 0.5
    """Dropout before the dense and output layers."""
    linear_expert: bool = True
    """Fit a TF-IDF n-gram linear classifier beside the network and learn how far to trust each."""
    expert_char_ngrams: bool = False
    """The linear expert also sees character 2-5 grams within words: often better, several times slower."""
    expert_c: float = 1.0
    """Inverse regularisation strength C of the linear expert."""

    def __post_init__(self) -> None:
        """Check ranges."""
        for key in ("hidden_size", "num_layers", "embedding_size", "min_count", "max_tokens", "char_embedding_size"):
            _at_least(f"model.{key}", getattr(self, key), 1)
        for key in ("conv_size", "conv_width", "conv_pool"):
            _at_least(f"model.{key}", getattr(self, key), 1)
        for key in ("subword_buckets", "pos_embedding_size", "char_cnn_size", "dense_size"):
            _at_least(f"model.{key}", getattr(self, key), 0)
        _at_least("model.vocabulary_size", self.vocabulary_size, 2)
        _at_least("model.freeze_epochs", self.freeze_epochs, -1)
        for key in ("word_dropout", "embedding_dropout", "locked_dropout", "recurrent_dropout", "head_dropout"):
            _fraction(f"model.{key}", getattr(self, key))
        _positive("model.expert_c", self.expert_c)


@dataclass
class TrainingConfig:
    """The optimisation loop."""

    epochs: int = 6
    """Passes over the training rows."""
    batch_size: int = 16
    """Rows a step when texts have the average length; batches hold equal numbers of tokens, not of rows."""
    learning_rate: float = 4e-3
    """Peak learning rate of all weights but the embeddings."""
    embedding_learning_rate: float = 8e-3
    """Peak learning rate of the word embeddings; pretrained vectors want less, about 0.002."""
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
    imbalance: Imbalance = Imbalance.none
    """none, class_weights, balanced_sampler, focal or logit_adjustment."""
    focal_gamma: float = 2.0
    """Focusing strength of imbalance=focal."""
    patience: int = 3
    """Epochs without a better validation macro-F1 before training stops; 0 means never."""
    precision: Precision = Precision.bf16
    """fp32, or bf16 autocast with fp32 weights."""
    device: Device = Device.auto
    """auto, cpu or cuda."""
    num_threads: int = 0
    """CPU threads of the training; 0 means all cores."""
    num_workers: int = 1
    """CPU processes that share each batch and the threads; 0 means one a core where batches and data are large."""
    deterministic: bool = False
    """Bit-for-bit repeatable training: one CPU thread, fp32, deterministic kernels."""
    checkpoint_seconds: float = 60.0
    """Seconds between checkpoints inside an epoch; one is always written at its end."""
    num_models: int = 1
    """Networks trained from different seeds whose probabilities are averaged."""

    def __post_init__(self) -> None:
        """Check ranges."""
        for key in ("epochs", "batch_size", "num_models"):
            _at_least(f"training.{key}", getattr(self, key), 1)
        for key in ("learning_rate", "embedding_learning_rate"):
            _positive(f"training.{key}", getattr(self, key))
        for key in ("weight_decay", "clip_norm", "r_drop", "focal_gamma", "patience", "num_threads", "num_workers"):
            _at_least(f"training.{key}", getattr(self, key), 0)
        for key in ("warmup_fraction", "label_smoothing", "ema_decay"):
            _fraction(f"training.{key}", getattr(self, key))
        _positive("training.checkpoint_seconds", self.checkpoint_seconds)


@dataclass
class EvaluationConfig:
    """What evaluation computes and promises."""

    confidence: float = 0.95
    """Confidence of every interval and promise, in (0, 1)."""
    bootstrap_samples: int = 1000
    """Resamples behind each interval."""
    baseline: bool = True
    """Train TF-IDF + LinearSVC on the same rows and compare."""
    max_error: float = 0.0
    """Promise: accepted rows are wrong at most this often; fixes the abstention threshold. 0 means never abstain."""
    top_k: int = 3
    """k of top-k accuracy."""
    num_examples: int = 20
    """Hardest and most-confused examples shown in the report."""
    label_errors: bool = False
    """Look for wrong labels in the training rows by out-of-fold probabilities."""
    report: bool = True
    """Write figures and report.html beside metrics.json."""
    seed: int = 0
    """Seed of the bootstrap."""

    def __post_init__(self) -> None:
        """Check ranges."""
        _positive("evaluation.confidence", self.confidence)
        _fraction("evaluation.confidence", self.confidence)
        _at_least("evaluation.bootstrap_samples", self.bootstrap_samples, 10)
        _fraction("evaluation.max_error", self.max_error)
        _at_least("evaluation.top_k", self.top_k, 1)
        _at_least("evaluation.num_examples", self.num_examples, 0)


@dataclass
class TrackingConfig:
    """MLflow."""

    enabled: bool = True
    """Log runs to MLflow."""
    uri: str = ""
    """Address of an MLflow server, or sqlite:///FILE; empty means a sqlite store under `dir`."""
    dir: str = "tracking"
    """Folder of the default store, its artefacts and the journal."""
    experiment: str = "textlstm"
    """MLflow experiment."""
    run_name: str = ""
    """Name of the run; empty means that one is made from the data and the model."""
    tags: list[str] = field(default_factory=list)
    """Tags of the run, each KEY:VALUE."""
    log_text: bool = False
    """Allow texts of rows to be logged (predictions, examples, the report with examples)."""
    register: str = "textlstm"
    """Name in the model registry; empty means that models are not registered."""
    timeout_seconds: float = 30.0
    """At most this long is spent in total on a server that does not answer."""

    def __post_init__(self) -> None:
        """Check ranges."""
        _positive("tracking.timeout_seconds", self.timeout_seconds)
        _require(bool(self.experiment), "tracking.experiment must not be empty")


@dataclass
class LabellingConfig:
    """How a labelling job reads, works and writes."""

    format: FileFormat = FileFormat.auto
    """Input format; auto goes by the file's name; stdin needs one."""
    output_format: FileFormat = FileFormat.auto
    """Output format; auto goes by the output's name, else that of the input."""
    encoding: str = "utf-8"
    """Text encoding of the input."""
    text_column: str = ""
    """Column that holds the text; empty means the one the model was trained with."""
    label_name: str = "predicted_label"
    """Name of the added column with the label."""
    probability_name: str = "probability"
    """Name of the added column with the label's probability."""
    decision_name: str = "decision"
    """Name of the added column: accepted, abstained, empty or rejected. Empty: no such column."""
    top_k: int = 0
    """Add the k most probable labels with their probabilities; 0 means none."""
    all_probabilities: bool = False
    """Add one column a class with its probability."""
    explanation: bool = False
    """Add the words without which the label's probability falls most; slower by as many times as texts have words."""
    empty_label: str = ""
    """Label of rows without text."""
    abstain_label: str = ""
    """Label written for rows under the model's threshold; empty keeps the most probable one."""
    excel_safe: bool = False
    """Prefix cells that a spreadsheet would run as formulas by an apostrophe."""
    max_chars: int = 1_000_000
    """Longer texts are rejected, in characters."""
    max_reject_fraction: float = 0.01
    """More rejected rows than this part of the input end the job, in [0, 1]."""
    shard_rows: int = 5_000
    """Rows of one shard, the unit that is done once and kept when the job is interrupted."""
    num_workers: int = 0
    """Processes; 0 means one a core. Small inputs run in the main process."""
    device: Device = Device.auto
    """auto, cpu or cuda."""
    precision: Precision = Precision.fp32
    """fp32 or bf16 matrix products."""

    def __post_init__(self) -> None:
        """Check ranges."""
        for key in ("max_chars", "shard_rows"):
            _at_least(f"labelling.{key}", getattr(self, key), 1)
        for key in ("top_k", "num_workers"):
            _at_least(f"labelling.{key}", getattr(self, key), 0)
        _fraction("labelling.max_reject_fraction", self.max_reject_fraction, below_one=False)
        names = [name for name in (self.label_name, self.probability_name, self.decision_name) if name]
        _require(bool(self.label_name), "labelling.label_name must not be empty")
        _require(len(set(names)) == len(names), "labelling: the names of added columns must differ")


@dataclass
class PrepareConfig:
    """`textlstm prepare`: read, check, split, tokenise, tag, filter, store."""

    data: DataConfig = field(default_factory=DataConfig)
    text: TextConfig = field(default_factory=TextConfig)
    prepared_dir: str = "data/prepared"
    """Folder of prepared corpora, each under the digest of its data and settings."""
    num_workers: int = 0
    """Preparation processes; 0 means one a core."""
    overwrite: bool = False
    """Prepare again even when the corpus is in the store."""

    def __post_init__(self) -> None:
        """Check ranges."""
        _at_least("num_workers", self.num_workers, 0)


@dataclass
class TrainConfig(PrepareConfig):
    """`textlstm train`: prepare, fit, pick the best epoch, calibrate, save."""

    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    output_dir: str = "outputs/model"
    """Folder of the saved model; an unfinished training of the same settings in it is continued."""
    seed: int = 1
    """Seed of the weights, the order of batches and dropout."""
    overwrite: bool = False
    """Replace a finished model in output_dir, or start anew after a change of settings."""

    def __post_init__(self) -> None:
        """Check what spans groups."""
        PrepareConfig.__post_init__(self)
        _require(
            self.model.pos_embedding_size == 0 or self.text.pos,
            "model.pos_embedding_size needs text.pos=true",
        )


@dataclass
class EvaluateConfig:
    """`textlstm evaluate`: score a model folder on labelled rows."""

    model_dir: str = "outputs/model"
    """Model folder, or a registry address such as models:/textlstm@champion."""
    data: DataConfig = field(default_factory=DataConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    output_dir: str = "outputs/evaluation"
    """Folder of metrics.json, predictions, figures and report."""
    prepared_dir: str = "data/prepared"
    """Folder of prepared corpora."""
    num_workers: int = 0
    """Preparation processes; 0 means one a core."""
    device: Device = Device.auto
    """auto, cpu or cuda."""
    overwrite: bool = False
    """Replace an earlier evaluation in output_dir."""


@dataclass
class LabelConfig:
    """`textlstm label`: label a file, files, a folder or a stream."""

    model_dir: str = "outputs/model"
    """Model folder, or a registry address such as models:/textlstm@champion."""
    input: list[str] = field(default_factory=list)
    """Files, globs or a folder; - means standard input."""
    output: str = ""
    """Labelled file; - means standard output."""
    engine: Engine = Engine.local
    """local (all cores of this machine) or ray (a cluster; extra `ray`)."""
    labelling: LabellingConfig = field(default_factory=LabellingConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    overwrite: bool = False
    """Replace an existing output, or start anew after a change of input, model or settings."""


@dataclass
class TraceConfig:
    """`textlstm trace`: tell where a label came from."""

    output: str = ""
    """A labelled file, its manifest beside it."""
    row: int = 1
    """Row of that file; 1 is the first data row."""

    def __post_init__(self) -> None:
        """Check ranges."""
        _at_least("row", self.row, 1)


@dataclass
class ReplayConfig(TraceConfig):
    """`textlstm replay`: compute a label again and compare."""

    model_dir: str = ""
    """Folder of the model that labelled the file; empty means where it was then."""


@dataclass
class ExplainSettings:
    """What is explained, and how much of it is shown."""

    text: str = ""
    """One text to explain; or give input."""
    text_column: str = ""
    """Column of input that holds the text; empty means the one the model was trained with."""
    max_texts: int = 50
    """Texts of input that the page shows one by one, from the first on."""
    sample_texts: int = 300
    """Texts of input behind the views over many texts and the deletion curves; at least max_texts are read."""
    faithfulness: bool = True
    """Measure how faithful each attribution method is (deletion curves)."""

    def __post_init__(self) -> None:
        """Check ranges."""
        _at_least("explain.max_texts", self.max_texts, 1)
        _at_least("explain.sample_texts", self.sample_texts, 1)


@dataclass
class ExplainConfig:
    """`textlstm explain`: one page that shows gates and attributions of some texts."""

    model_dir: str = "outputs/model"
    """Model folder, or a registry address such as models:/textlstm@champion."""
    input: list[str] = field(default_factory=list)
    """Files, globs or a folder of texts to explain."""
    output: str = "outputs/explanation.html"
    """The page."""
    explain: ExplainSettings = field(default_factory=ExplainSettings)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    device: Device = Device.auto
    """auto, cpu or cuda."""
    overwrite: bool = True
    """Replace an existing page."""


@dataclass
class SweepSettings:
    """How a search over settings goes."""

    space: list[str] = field(default_factory=list)
    """What to search, each KEY=CHOICES: `model.hidden_size=64,128`, or `training.learning_rate=log(1e-3,1e-2)`."""
    sampler: Sampler = Sampler.tpe
    """tpe, random or grid."""
    num_trials: int = 12
    """Trials in all; a restarted sweep counts those already done."""
    jobs: int = 1
    """Trials at the same time."""
    objectives: list[str] = field(default_factory=lambda: ["macro_f1"])
    """Validation figures to optimise: macro_f1, accuracy, model_size (bytes), label_speed (rows/s)."""
    pruning: bool = True
    """Stop trials early whose epochs fall behind the median (single objective only)."""
    seed: int = 0
    """Seed of the proposals."""

    def __post_init__(self) -> None:
        """Check ranges."""
        _at_least("sweep.num_trials", self.num_trials, 1)
        _at_least("sweep.jobs", self.jobs, 1)


@dataclass
class SweepConfig(TrainConfig):
    """`textlstm sweep`: search settings."""

    sweep: SweepSettings = field(default_factory=SweepSettings)
    output_dir: str = "outputs/sweep"
    """Folder of the sweep's journal, results table and best config."""


@dataclass
class RunConfig(TrainConfig):
    """`textlstm run`: prepare, train, evaluate and label in one go."""

    labelling: LabellingConfig = field(default_factory=LabellingConfig)
    output_dir: str = "outputs/run"
    """Folder of the model, the evaluation and the labelled test rows."""
    overwrite: bool = True
    """Replace the results of an earlier run in output_dir."""


@dataclass
class DoctorConfig:
    """`textlstm doctor`: say what is missing or wrong here."""

    model_dir: str = ""
    """A model folder to check as well. Empty: none."""
    tracking: TrackingConfig = field(default_factory=TrackingConfig)


@dataclass
class DashboardConfig:
    """`textlstm dashboard`: MLflow's pages on this machine, opened on the runs of the experiment."""

    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    host: str = "127.0.0.1"
    """Address to listen on; any other than loopback needs auth_config."""
    port: int = 5000
    """Port to listen on; the next free one is taken where this one is in use."""
    auth_config: str = ""
    """INI file of MLflow's basic authentication with a password of your own. Empty: no passwords, loopback only."""

    def __post_init__(self) -> None:
        """Check ranges."""
        _require(1 <= self.port <= 65535, f"port must be in [1, 65535], got {self.port}")


@dataclass
class SyncConfig:
    """`textlstm sync`: send to MLflow what a server that was down has missed; close the runs that died."""

    tracking: TrackingConfig = field(default_factory=TrackingConfig)


@dataclass
class PromoteConfig:
    """`textlstm promote`: make a registered version the champion, if it is better beyond chance."""

    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    version: str = "latest"
    """Version number of the challenger, or latest."""
    confidence: float = 0.95
    """Confidence that the paired test must reach, in (0, 1)."""
    force: bool = False
    """Promote whatever the test says."""

    def __post_init__(self) -> None:
        """Check ranges."""
        _positive("confidence", self.confidence)
        _fraction("confidence", self.confidence)
        _require(bool(self.tracking.register), "tracking.register must name the registered model")


@dataclass
class CompareConfig:
    """`textlstm compare`: two runs beside each other: figures, settings, rows won and lost."""

    runs: list[str] = field(default_factory=list)
    """Two runs: ids, beginnings of ids, names, or models:/NAME@ALIAS."""
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    output: str = ""
    """JSON file of the comparison with the ids of the rows won and lost. Empty: only the screen."""
    overwrite: bool = False
    """Replace an existing output."""


@dataclass
class ServeConfig:
    """`textlstm serve`: a scoring server for one model on this machine."""

    model_dir: str = "models:/textlstm@champion"
    """Registry address, or a model folder."""
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    host: str = "127.0.0.1"
    """Address to listen on; the server knows no passwords, so only loopback is allowed."""
    port: int = 5001
    """Port to listen on; the next free one is taken where this one is in use."""
    num_workers: int = 1
    """Server processes, each with the model in memory."""

    def __post_init__(self) -> None:
        """Check ranges."""
        _require(1 <= self.port <= 65535, f"port must be in [1, 65535], got {self.port}")
        _at_least("num_workers", self.num_workers, 1)
