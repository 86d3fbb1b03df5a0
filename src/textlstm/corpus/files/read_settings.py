"""How files are read: format, encoding, limits, and the columns that count."""

from dataclasses import dataclass, field

from textlstm.config import DataConfig, FileFormat, LabellingConfig


@dataclass(frozen=True, slots=True)
class ColumnNames:
    """Which columns hold the text, the label or labels, and the id."""

    text: str = "text"
    label: str = "label"
    labels: str = ""
    """Column with several labels; not empty means multi-label, and `label` is not read."""
    label_separator: str = ""
    """Separator of labels inside a text cell; empty: the cell is a JSON list."""
    id: str = ""
    """Column with a unique id; empty: the row number is the id."""

    @property
    def is_multi_label(self) -> bool:
        """Whether rows may have any number of labels."""
        return bool(self.labels)


@dataclass(frozen=True, slots=True)
class ReadSettings:
    """All that decides which records a file yields."""

    format: FileFormat = FileFormat.auto
    encoding: str = "utf-8"
    columns: ColumnNames = field(default_factory=ColumnNames)
    need_labels: bool = False
    """Refuse files without the label column, and rows without a label."""
    max_chars: int = 1_000_000
    """Longer texts are rejected, in characters."""
    max_reject_fraction: float = 0.01
    """More rejected rows than this part of a file refuse the file."""
    max_expansion: int = 200
    """Largest ratio of unpacked to packed size of a compressed file."""
    key_prefix: str = "data"
    """Group of settings that error messages name, as in `Set data.text_column.`"""

    @classmethod
    def for_data(cls, config: DataConfig) -> "ReadSettings":
        """Return the settings of labelled data (stages prepare, train, evaluate)."""
        return cls(
            format=config.format,
            encoding=config.encoding,
            columns=ColumnNames(
                text=config.text_column,
                label=config.label_column,
                labels=config.labels_column,
                label_separator=config.label_separator,
                id=config.id_column,
            ),
            need_labels=True,
            max_chars=config.max_chars,
            max_reject_fraction=config.max_reject_fraction,
            max_expansion=config.max_expansion,
        )

    @classmethod
    def for_labelling(cls, config: LabellingConfig, *, text_column: str, id_column: str = "") -> "ReadSettings":
        """Return the settings of rows to label; `text_column` is the setting, or the model's where that is empty."""
        return cls(
            format=config.format,
            encoding=config.encoding,
            columns=ColumnNames(text=config.text_column or text_column, id=id_column),
            max_chars=config.max_chars,
            max_reject_fraction=config.max_reject_fraction,
            key_prefix="labelling",
        )

    def required_columns(self) -> dict[str, str]:
        """Return the columns a file must have, each with the setting that names it."""
        columns, prefix = self.columns, self.key_prefix
        required = {columns.text: f"{prefix}.text_column"}
        if self.need_labels:
            if columns.is_multi_label:
                required[columns.labels] = f"{prefix}.labels_column"
            else:
                required[columns.label] = f"{prefix}.label_column"
        if columns.id:
            required[columns.id] = f"{prefix}.id_column"
        return required
