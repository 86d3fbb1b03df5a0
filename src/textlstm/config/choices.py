"""Settings with a fixed set of values, one enumeration each; name and value are equal."""

from enum import StrEnum


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
    xlsx = "xlsx"
    text = "text"
    folder = "folder"


class Quality(StrEnum):
    """How much of the time that a training may take goes into its accuracy."""

    fast = "fast"
    balanced = "balanced"
    best = "best"


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


class TrainingPrecision(StrEnum):
    """Number format of a training's matrix products."""

    auto = "auto"
    fp32 = "fp32"
    tf32 = "tf32"
    bf16 = "bf16"


class ExportFormat(StrEnum):
    """What an exported model's networks are written as."""

    onnx = "onnx"


class ExportPrecision(StrEnum):
    """Number format of an exported model's weights."""

    fp32 = "fp32"
    int8 = "int8"


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
