"""Group `tracking`, and the stages that show, compare, promote and serve what MLflow holds."""

from dataclasses import dataclass, field

from textlstm.config.checks import (
    MOST_WORKERS,
    check_folder,
    check_fraction,
    check_local,
    check_positive,
    check_ranges,
    require,
)


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
    """Name in the model registry; empty means that models are not registered. The default name belongs to the first
    task (data source and labels) that is registered; models of another task get a name of their own."""
    timeout_seconds: float = 30.0
    """At most this long is spent in total on a server that does not answer."""

    def __post_init__(self) -> None:
        """Check ranges."""
        check_folder("tracking.dir", self.dir)
        check_positive("tracking.timeout_seconds", self.timeout_seconds, most=1_000_000)
        require(bool(self.experiment), "tracking.experiment must not be empty")
        # MLflow would refuse such a name only when the trained model is registered.
        require(not set("/:") & set(self.register), f"tracking.register must hold no / and no :, got {self.register!r}")


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
        require(1 <= self.port <= 65535, f"port must be in [1, 65535], got {self.port}")


@dataclass
class SyncConfig:
    """`textlstm sync`: send to MLflow what a server that was down has missed; close the runs that died."""

    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    drop: list[str] = field(default_factory=list)
    """Keys of runs that are set aside and never sent, such as those of a deleted experiment; nothing is deleted."""


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
        check_positive("confidence", self.confidence, most=1)
        check_fraction("confidence", self.confidence)
        require(bool(self.tracking.register), "tracking.register must name the registered model")


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

    def __post_init__(self) -> None:
        """Refuse an address."""
        check_local("output", self.output)


@dataclass
class ServeConfig:
    """`textlstm serve`: a scoring server for one model on this machine."""

    model_dir: str = "models:/textlstm@champion"
    """Registry address, or a model folder."""
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    host: str = "127.0.0.1"
    """Address to listen on, 0.0.0.0 for all; the server knows no passwords, so any but loopback needs allow_public."""
    port: int = 5001
    """Port to listen on; the next free one is taken where this one is in use."""
    allow_public: bool = False
    """Allow an address that others can reach; whoever reaches it may ask."""
    num_workers: int = 1
    """Server processes, each with the model in memory."""
    batch_wait_ms: float = 3.0
    """How long a row waits for rows of other clients, to be computed together with them, in milliseconds. 0: not at
    all."""
    batch_rows: int = 256
    """Rows that are computed together at most."""
    max_rows: int = 10_000
    """Rows of one request at most; more are answered with status 413."""
    max_body_bytes: int = 16_000_000
    """Bytes of one request at most; more are answered with status 413."""
    max_waiting_rows: int = 50_000
    """Rows that may wait at the same time; requests beyond are answered with status 503."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require(1 <= self.port <= 65535, f"port must be in [1, 65535], got {self.port}")
        check_ranges(
            "",
            self,
            num_workers=(1, MOST_WORKERS),
            batch_wait_ms=(0, 10_000),
            batch_rows=(1, 100_000),
            max_rows=(1, 10**7),
            max_body_bytes=(1, 10**10),
            max_waiting_rows=(1, 10**9),
        )
