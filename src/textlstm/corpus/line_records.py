"""Records of JSONL files (one object a line) and of plain text files (one text a line)."""

from textlstm.corpus.delimited import bad_bytes
from textlstm.corpus.json_values import JsonRowError, parse_object
from textlstm.corpus.records import Record, Reject, Rows
from textlstm.corpus.row_input import LineInput, ReadCounts, RowStart


def read_jsonl(source: LineInput, *, start: RowStart | None, counts: ReadCounts) -> Rows:
    """Yield the rows of a JSONL file, all or from `start` on; blank lines are counted and are no rows."""
    name, encoding, has_offsets = source.name, source.encoding, source.has_offsets
    first = start or RowStart(1, 0)
    number = first.number - 1
    with source.lines(first.offset) as lines:
        for offset, data in lines:
            if is_blank(data):
                counts.blank_lines += 1
                continue
            number += 1
            counts.rows += 1
            where = offset if has_offsets else -1
            try:
                fields = parse_object(data.decode(encoding))
            except UnicodeDecodeError as error:
                reason = bad_bytes(error, encoding, offset)
            except JsonRowError as error:
                reason = str(error)
            else:
                yield Record(name, number, where, fields)
                continue
            counts.rejects += 1
            yield Reject(name, number, where, reason)


def read_text(source: LineInput, *, start: RowStart | None, counts: ReadCounts) -> Rows:
    """Yield the lines of a text file, all or from `start` on, each as a record with the text column alone."""
    name, encoding, has_offsets = source.name, source.encoding, source.has_offsets
    column = source.settings.columns.text
    first = start or RowStart(1, 0)
    with source.lines(first.offset) as lines:
        for number, (offset, data) in enumerate(lines, first.number):
            counts.rows += 1
            where = offset if has_offsets else -1
            try:
                text = data.decode(encoding).removesuffix("\r")
            except UnicodeDecodeError as error:
                reason = bad_bytes(error, encoding, offset)
            else:
                if "\0" not in text:
                    yield Record(name, number, where, {column: text})
                    continue
                reason = "holds a NUL byte"
            counts.rejects += 1
            yield Reject(name, number, where, reason)


def is_blank(line: bytes) -> bool:
    """Return whether a JSONL line is blank and so no row."""
    return not line or line.isspace()
