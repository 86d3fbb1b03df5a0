"""Reading many rows at once gives the same bytes, rejects and messages as reading them one by one."""

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textlstm.config import DataConfig, DataSource
from textlstm.corpus.preparation.reading import ingest
from textlstm.corpus.rows import lines, streams
from textlstm.corpus.rows.blocks import json_blocks
from textlstm.corpus.sources.sources import open_sources
from textlstm.errors import InputError

NAMES = st.sampled_from(["text", "label", "extra", "id"])
TEXTS = st.one_of(
    st.sampled_from(
        ["good film", " two  spaces ", "", "  ", "\u200b", "caf\u00e9\u00a0au lait", "\U0001f600 fun", "日本語", "a\tb"]
    ),
    st.text(max_size=8),
)
LABELS = st.sampled_from(["a", "b", "Sports", "", " ", "7"])
JSON_VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-3, 10**20), st.sampled_from([0.0, -0.0, 1.5, 1e300]), TEXTS, LABELS
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(NAMES, inner, max_size=2)),
    max_leaves=3,
)
ODD_JSON_LINES = st.sampled_from(
    [
        b"",
        b"  ",
        b"{",
        b"}",
        b"{}",
        b"[]",
        b"nothing",
        b'{"text": "x", "label": "a"} {"text": "y", "label": "b"}',
        b'{"text": "x", "label": "a"},{"text": "y", "label": "b"}',
        b'{"text": "x", "label": "a", "extra": [{"a": 1}',
        b'{"a": 2}], "b": {"c": 3}}',
        b'{"text": "x", "text": "y", "label": "a"}',
        b'{"text": "x", "label": "a", "extra": {"k": 1, "k": 2}}',
        b'{"text": "x", "label": "a", "extra": NaN}',
        b'{"text": "x", "label": "a", "extra": -Infinity}',
        b'{"text": "x", "label": "a", "extra": ' + b"1" * 1001 + b"}",
        b'{"text": "x", "label": "a", "extra": ' + b"[" * 70 + b"]" * 70 + b"}",
        b'{"text": "x\\u0000", "label": "a"}',
        b'{"text": "x\\\\u0000", "label": "a"}',
        b'{"text": "\\ud83d\\ude00 x", "label": "a"}',
        b'{"text": "\\ud83d x", "label": "a"}',
        b'{"text": "x", "label": "\\udc00"}',
        b'{"text": "x\xff", "label": "a"}',
        b'{"text": "x\xed\xa0\x80", "label": "a"}',
        b'{"text": "x", "label": -0}',
        b'{"text": "x", "label": 0}',
        b'{"text": "x", "label": 1.0}',
        b'{"text": "x", "label": true}',
        b'{"text": "x", "label": ["a"]}',
        b'{"text": "x", "label": ["a", "b"]}',
        b'{"text": "x", "label": "2020-01-01"}',
        b'{"text": "2020-01-01T00:00:00Z", "label": "a"}',
        b' {"text": "x", "label": "a"}',
        b'{"text": "x", "label": "a"}\r',
        b'\xef\xbb\xbf{"text": "x", "label": "a"}',
        b'{"text": "x\x01", "label": "a"}',
    ]
)
JSON_LINES = st.one_of(
    st.builds(lambda text, label: json.dumps({"text": text, "label": label}, ensure_ascii=False), TEXTS, LABELS),
    st.builds(lambda text, label: json.dumps({"id": text, "text": text, "label": label}), TEXTS, LABELS),
    st.builds(json.dumps, st.dictionaries(NAMES, JSON_VALUES, max_size=4)),
).map(lambda line: line.encode("utf-8", "surrogatepass"))
CELLS = st.one_of(
    TEXTS.filter(lambda text: not set(text) & set('",\t\r\n')).map(lambda text: text.encode("utf-8", "surrogatepass")),
    TEXTS.map(lambda text: b'"' + text.replace('"', '""').encode("utf-8", "surrogatepass") + b'"'),
    st.sampled_from(
        [b'5" pipe', b'"a"b', b'"a""b"', b'""', b'"', b'a"', b"x\ry", b"\xff", b"a\0b", b'"two\nlines"', b'"a,b"']
    ),
)
ENDS = st.sampled_from([b"\n", b"\n", b"\n", b"\r\n", b"\n\n"])
Outcome = dict[str, Any]


def outcome(path: Path, *, by_blocks: bool, **changes: Any) -> Outcome:
    """Return everything that reading leaves behind."""
    data = DataConfig(source=DataSource.files, train=[str(path)], max_reject_fraction=1.0, **changes)
    sources = open_sources(data)
    if not by_blocks:
        sources = tuple(replace(source, blocks=None) for source in sources)
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        try:
            found = ingest(sources, folder, data=data, on_rows=lambda rows: None)
        except InputError as error:
            return {"problems": error.problems, "rejects": (folder / "rejects.jsonl").read_bytes()}
        [source] = found.sources
        return {
            "rows": source.path.read_bytes(),
            "hashes": source.hashes.tolist(),
            "label_set_ids": source.label_set_ids.tolist(),
            "label_sets": found.label_sets,
            "rejects": found.rejects_path.read_bytes(),
            "num_rejects": found.num_rejects,
            "notes": sources[0].notes_of_reading(),
        }


def compare(path: Path, **changes: Any) -> Outcome:
    one_by_one = outcome(path, by_blocks=False, **changes)
    assert outcome(path, by_blocks=True, **changes) == one_by_one
    return one_by_one


@pytest.fixture(params=[7, 64, 1 << 20], ids="blocks of {} bytes".format)
def small_blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Make rows go on from block to block."""
    monkeypatch.setattr(streams, "BLOCK_BYTES", request.param)
    monkeypatch.setattr(lines, "_LEAST_BLOCK_BYTES", min(request.param, 1 << 18))
    monkeypatch.setattr(json_blocks, "_LEAST_LINES", 1)
    return int(request.param)


def run_examples(test: Callable[[Any], None], strategy: st.SearchStrategy[Any], *, examples: int) -> None:
    settings(max_examples=examples, deadline=None)(given(strategy)(test))()


CHANGES: list[dict[str, Any]] = [
    {},
    {"id_column": "id"},
    {"labels_column": "label"},
    {"weight_column": "extra"},
    {"max_chars": 4},
    {"limit": 3},
]


def test_jsonl(tmp_path: Path, small_blocks: int) -> None:
    path = tmp_path / "rows.jsonl"

    def same(drawn: tuple[list[bytes], bytes, bool, dict[str, Any]]) -> None:
        rows, end, is_whole, changes = drawn
        content = end.join(rows) + (end if is_whole else b"")
        path.write_bytes(content or b" ")
        compare(path, **changes)

    # Mostly usual lines, so that there is something for Arrow to parse beside the odd ones.
    rows = st.lists(st.one_of(JSON_LINES, JSON_LINES, ODD_JSON_LINES), min_size=1, max_size=12)
    run_examples(same, st.tuples(rows, ENDS, st.booleans(), st.sampled_from(CHANGES)), examples=80)


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_delimited(tmp_path: Path, small_blocks: int, suffix: str) -> None:
    path = tmp_path / f"rows{suffix}"
    stop = b"," if suffix == ".csv" else b"\t"

    def same(drawn: tuple[list[list[bytes]], bytes, bool, dict[str, Any]]) -> None:
        rows, end, is_whole, changes = drawn
        content = end.join(stop.join(row) for row in [[b"id", b"text", b"label", b"extra"], *rows])
        path.write_bytes(content + (end if is_whole else b""))
        compare(path, **changes)

    row = st.one_of(
        st.lists(CELLS, min_size=4, max_size=4), st.lists(CELLS, min_size=4, max_size=4), st.lists(CELLS, max_size=5)
    )
    drawn = st.tuples(st.lists(row, max_size=8), ENDS, st.booleans(), st.sampled_from(CHANGES))
    run_examples(same, drawn, examples=50)


PARQUET_COLUMNS = st.one_of(
    st.just((pa.string(), LABELS)),
    st.just((pa.large_string(), TEXTS)),
    st.just((pa.dictionary(pa.int32(), pa.string()), LABELS)),
    st.just((pa.int16(), st.integers(-3, 3))),
    st.just((pa.bool_(), st.booleans())),
    st.just((pa.float32(), st.floats(width=32))),
    st.just((pa.list_(pa.string()), st.lists(LABELS, max_size=2))),
    st.just((pa.date32(), st.dates())),
    st.just((pa.null(), st.none())),
)


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"

    def same(drawn: tuple[Any, dict[str, Any]]) -> None:
        data, changes = drawn
        size = data.draw(st.integers(1, 6))
        columns = {}
        for name in ("id", "text", "label", "extra"):
            kind, values = data.draw(PARQUET_COLUMNS) if name != "text" else (pa.string(), TEXTS)
            given_values = st.lists(st.one_of(values, values, st.none()), min_size=size, max_size=size)
            columns[name] = pa.array(data.draw(given_values), kind)
        pq.write_table(pa.table(columns), path)
        compare(path, **changes)

    run_examples(same, st.tuples(st.data(), st.sampled_from(CHANGES)), examples=80)


def test_parquet_with_bytes_that_are_no_utf8_rejects_those_rows_alone(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    broken = pa.StringArray.from_buffers(3, *pa.array([b"good", b"\xff\xfe", b"fine"], pa.binary()).buffers()[1:])
    pq.write_table(pa.table({"text": broken, "label": ["a", "b", "a"]}), path)
    found = compare(path)
    assert found["num_rejects"] == 1
    assert b"is not valid utf-8 in column 'text'" in found["rejects"]


def test_batches_end_with_the_same_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    texts = ["word " * 50_000 if number % 100 == 0 else f"text {number}" for number in range(5_000)]
    path.write_text("".join(json.dumps({"text": text, "label": "a"}) + "\n" for text in texts), encoding="utf-8")
    assert len(compare(path)["hashes"]) == 5_000


def test_nesting_without_end_rejects_the_row_alone(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    deep = '{"text": "deep", "label": "a", "extra": ' + "[" * 200_000 + "]" * 200_000 + "}"
    rows = [json.dumps({"text": f"row {number}", "label": "a"}) for number in range(50)]
    path.write_text("\n".join([*rows, deep, *rows]) + "\n", encoding="utf-8")
    found = compare(path)
    assert (len(found["hashes"]), found["num_rejects"]) == (100, 1)


@pytest.mark.parametrize("packing", [".gz", ".zst"])
@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".json"])
def test_packed_files_and_arrays(tmp_path: Path, suffix: str, packing: str) -> None:
    lines = [json.dumps({"text": f"row, {number}", "label": "ab"[number % 2]}) for number in range(200)]
    contents = {
        ".jsonl": "\ufeff" + "\n".join(lines),
        ".json": "[" + ",\n".join(lines) + "]",
        ".csv": "text,label\n" + "".join(f'"row, {number}",{"ab"[number % 2]}\n' for number in range(200)),
    }
    path = tmp_path / f"rows{suffix}{packing}"
    with path.open("wb") as file:
        kind = streams.Compression.gzip if packing == ".gz" else streams.Compression.zstd
        with streams.packed_stream(file, kind) as stream:
            stream.write(contents[suffix].encode())
    found = compare(path)
    assert (len(found["hashes"]), found["num_rejects"]) == (200, 0)


def test_only_odd_rows_are_read_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of all tests here: most rows do come by columns."""
    rows = [json.dumps({"text": f"row {number} is good", "label": "ab"[number % 2]}) for number in range(1_000)]
    rows[500] = '{"text": "x", "text": "y", "label": "a"}'
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(rows), encoding="utf-8")
    single: list[int] = []
    monkeypatch.setattr(
        json_blocks, "json_row", lambda line, **where: single.append(where["number"]) or _row(line, **where)
    )
    found = outcome(path, by_blocks=True)
    assert found["num_rejects"] == 1
    assert 501 in single
    # One row for each label, and the few lines beside the one with a key that occurs twice.
    assert len(single) <= 2 + 2 * json_blocks._LEAST_LINES


_row = json_blocks.json_row
