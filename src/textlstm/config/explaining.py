"""Group `explain` and the stage of that name."""

from dataclasses import dataclass, field

from textlstm.config.checks import check_at_least
from textlstm.config.choices import Device
from textlstm.config.tracking import TrackingConfig


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
        check_at_least("explain.max_texts", self.max_texts, 1)
        check_at_least("explain.sample_texts", self.sample_texts, 1)


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
