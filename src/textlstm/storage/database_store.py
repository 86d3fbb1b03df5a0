"""A store in a database: each file is a row of the table `textlstm_files`, and the output becomes a table of its own.

A file appears by the commit of one transaction, and so does the output: dropped, made and filled in one.
"""

import io
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from textlstm.errors import StorageError
from textlstm.storage.databases import open_engine, parse_address, reason_of

if TYPE_CHECKING:
    import sqlalchemy as sa

FILES_TABLE = "textlstm_files"
_INSERT_ROWS = 1000
_LARGEST_INTEGER = 2**63 - 1


class DatabaseStore:
    """The files of jobs into one table; the name of the table itself stands for its rows, written as JSONL."""

    def __init__(self, root: str) -> None:
        """Use the database and table of the address `root`; nothing is made until a file is.

        Raises:
            InputError: The address is no table's, or the driver is not installed.
        """
        import sqlalchemy as sa

        self.root = root
        address = parse_address(root)
        self._table = address.table
        # Two writers wait for each other at the beginning of a transaction, and not in its middle.
        self._engine = open_engine(address, begin="BEGIN IMMEDIATE")
        self._files = sa.Table(
            FILES_TABLE,
            sa.MetaData(),
            sa.Column("name", sa.String(500), primary_key=True),
            sa.Column("content", sa.LargeBinary, nullable=False),
        )

    def address(self, name: str) -> str:
        """Return the address of `name`."""
        return self.root if name == self._table else f"{self.root}&file={name}"

    def exists(self, name: str) -> bool:
        """Say whether there is a file `name`, or the table itself."""
        with self._reading() as connection:
            return self._has_table(connection, name if name == self._table else FILES_TABLE) and (
                name == self._table or bool(self._content(connection, name))
            )

    def open(self, name: str) -> BinaryIO:
        """Open the file `name` for reading; raises OSError."""
        with self._reading() as connection:
            found = self._content(connection, name) if self._has_table(connection, FILES_TABLE) else []
        if not found:
            raise FileNotFoundError(self.address(name))
        return io.BytesIO(found[0])

    @contextmanager
    def create(self, name: str, *, scratch: str) -> Iterator[BinaryIO]:
        """Give a stream whose bytes appear at `name` after a clean end; those of the table's name become its rows."""
        del scratch  # a transaction needs no temporary name
        if name == self._table:
            with tempfile.TemporaryFile() as stream:
                yield cast(BinaryIO, stream)
                with self._writing() as connection:
                    self._write_table(connection, cast(BinaryIO, stream))
            return
        content = io.BytesIO()
        yield content
        with self._writing() as connection:
            self._files.create(connection, checkfirst=True)
            connection.execute(self._files.delete().where(self._files.c.name == name))
            connection.execute(self._files.insert(), {"name": name, "content": content.getvalue()})

    def copy(self, source: str, name: str, *, scratch: str) -> None:
        """Write the bytes of `source` as `name`."""
        with self.open(source) as content, self.create(name, scratch=scratch) as stream:
            stream.write(content.read())

    def names(self, folder: str) -> list[str]:
        """Return the sorted names of the files directly in `folder`."""
        prefix = f"{folder}/"
        with self._reading() as connection:
            if not self._has_table(connection, FILES_TABLE):
                return []
            found = connection.scalars(self._below(prefix)).all()
        return sorted(name.removeprefix(prefix) for name in found if "/" not in name.removeprefix(prefix))

    def remove(self, name: str) -> None:
        """Remove the file `name`."""
        self._delete([name])

    def remove_folder(self, folder: str) -> None:
        """Remove all files below `folder`, in one transaction."""
        with self._reading() as connection:
            has_files = self._has_table(connection, FILES_TABLE)
            names = connection.scalars(self._below(f"{folder}/")).all() if has_files else []
        self._delete(names)

    def _delete(self, names: Iterable[str]) -> None:
        with self._writing() as connection:
            self._files.create(connection, checkfirst=True)
            for name in names:
                connection.execute(self._files.delete().where(self._files.c.name == name))

    def _below(self, prefix: str) -> "sa.Select[Any]":
        import sqlalchemy as sa

        return sa.select(self._files.c.name).where(self._files.c.name.startswith(prefix, autoescape=True))

    def _content(self, connection: "sa.Connection", name: str) -> list[bytes]:
        import sqlalchemy as sa

        return list(connection.scalars(sa.select(self._files.c.content).where(self._files.c.name == name)))

    def _has_table(self, connection: "sa.Connection", name: str) -> bool:
        import sqlalchemy as sa

        return bool(sa.inspect(connection).has_table(name))

    @contextmanager
    def _reading(self) -> Iterator["sa.Connection"]:
        with self._errors(), self._engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def _writing(self) -> Iterator["sa.Connection"]:
        with self._errors(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        import sqlalchemy as sa

        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            raise StorageError(
                f"{self.root}: cannot be written: {reason_of(error)}. Run the same command again."
            ) from error

    def _write_table(self, connection: "sa.Connection", stream: BinaryIO) -> None:
        """Make the table anew with the rows of JSONL `stream`."""
        import sqlalchemy as sa

        stream.seek(0)
        kinds = _kinds(map(json.loads, stream))
        table = sa.Table(self._table, sa.MetaData(), *(sa.Column(name, kind) for name, kind in kinds.items()))
        table.drop(connection, checkfirst=True)
        table.create(connection)
        stream.seek(0)
        while lines := list(islice(stream, _INSERT_ROWS)):
            connection.execute(table.insert(), [_values(json.loads(line), kinds) for line in lines])


def _kinds(rows: Iterable[Mapping[str, Any]]) -> "dict[str, sa.types.TypeEngine[Any]]":
    """Return the type of each column: what all its values share, and text where they share none."""
    import sqlalchemy as sa

    seen: dict[str, set[type]] = {}
    for row in rows:
        for name, value in row.items():
            is_long = type(value) is int and abs(value) > _LARGEST_INTEGER
            seen.setdefault(name, set()).add(str if is_long else type(value))
    kinds: dict[str, sa.types.TypeEngine[Any]] = {}
    for name, types in seen.items():
        types.discard(type(None))
        if types == {bool}:
            kinds[name] = sa.Boolean()
        elif types == {int}:
            kinds[name] = sa.BigInteger()
        elif types and types <= {int, float}:
            kinds[name] = sa.Double()
        else:
            kinds[name] = sa.Text()
    return kinds


def _values(row: Mapping[str, Any], kinds: "Mapping[str, sa.types.TypeEngine[Any]]") -> dict[str, object]:
    import sqlalchemy as sa

    values: dict[str, object] = {}
    for name, kind in kinds.items():
        value = row.get(name)
        is_other = isinstance(kind, sa.Text) and value is not None and not isinstance(value, str)
        values[name] = json.dumps(value, ensure_ascii=False) if is_other else value
    return values
