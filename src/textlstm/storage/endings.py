"""Endings of well-known formats: a file of such a name with other content would mislead."""

from pathlib import Path

from textlstm.errors import InputError

_ROWS = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".parquet", ".xlsx", ".txt")
_DOCUMENTS = (".html", ".htm", ".xhtml", ".pdf", ".md", ".docx", ".odt", ".svg", ".png", ".jpg", ".jpeg")
NEVER_ROWS = (
    *(".xls", ".xlsm", ".ods", ".json", ".xml", ".html", ".feather", ".arrow", ".avro", ".orc"),
    *(".db", ".sqlite", ".sqlite3", ".duckdb", ".pkl", ".pickle", ".zip", ".tar", ".tgz", ".7z", ".bz2", ".xz"),
)
"""Endings of formats in which no rows are written."""


def refuse_other_formats(name: str, *, written: str, endings: tuple[str, ...]) -> None:
    """Refuse an output whose name tells another format than it would have.

    Args:
        name: As the user wrote it.
        written: What is written, such as "an HTML page".
        endings: Those that tell it.

    Raises:
        InputError: It ends like rows, a workbook, a picture, a database, an archive and so on.
    """
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    # In `page.csv.gz` the ending before the last tells the format.
    if suffixes and suffixes[-1] in (".gz", ".zst"):
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    if suffix in (*_ROWS, *_DOCUMENTS, *NEVER_ROWS) and suffix not in endings:
        raise InputError(f"{name}: {written} is no {suffix}; choose an output that ends in {endings[0]}")
