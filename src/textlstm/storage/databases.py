"""Databases of any SQLAlchemy dialect: addresses such as `sqlite:///tickets.db?sql=SELECT id, text FROM tickets`.

With this file and `database_store.py` the storage room owns SQLAlchemy.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from textlstm.errors import InputError

if TYPE_CHECKING:
    import sqlalchemy as sa

_WHAT = re.compile(r"[?&](sql|table)=")
_WAIT_SECONDS = 60.0
"""How long SQLite waits for another process that writes."""


class DatabaseAddress(NamedTuple):
    """What an address names: the rows of a query, or a table."""

    url: str
    """Address of the database, as SQLAlchemy takes it."""
    sql: str
    table: str
    """Exactly one of `sql` and `table` is empty."""


def is_database(name: str) -> bool:
    """Say whether `name` is the address of a query or table: a URL with `?sql=` or `?table=`."""
    return "://" in name and not name.startswith(("http://", "https://")) and _WHAT.search(name) is not None


def parse_address(name: str) -> DatabaseAddress:
    """Return the parts of an address for which `is_database` holds; all that follows `sql=` is the query.

    Raises:
        InputError: It names no query and no table, holds a password, or SQLAlchemy is missing.
    """
    found = _WHAT.search(name)
    assert found is not None
    url, value = name[: found.start()], name[found.end() :].strip()
    if not value:
        raise InputError(f"{name}: {found[1]}= names nothing; write a {'query' if found[1] == 'sql' else 'table'}")
    try:
        import sqlalchemy as sa
    except ImportError as error:
        raise InputError(f"{name}: databases need SQLAlchemy. Install textlstm[sql].") from error
    try:
        password = sa.make_url(url).password
    except sa.exc.ArgumentError as error:
        raise InputError(f"{name}: is no address of a database, such as sqlite:///tickets.db?sql=SELECT ...") from error
    # Addresses stand in manifests, logs and MLflow.
    if password:
        raise InputError(
            f"{sa.make_url(url).render_as_string(hide_password=True)}: has a password, which would be written down with"
            " the address; leave it out and put it where the driver looks for it, such as PGPASSWORD or ~/.pgpass"
        )
    if found[1] == "sql":
        return DatabaseAddress(url, value, "")
    return DatabaseAddress(url, "", value)


def open_engine(address: DatabaseAddress, *, begin: str = "BEGIN") -> "sa.Engine":
    """Return an engine without a pool; with SQLite, `begin` begins each transaction, also that of a CREATE TABLE.

    Raises:
        InputError: The driver is not installed.
    """
    import sqlalchemy as sa

    is_sqlite = address.url.startswith("sqlite")
    try:
        engine = sa.create_engine(
            address.url,
            poolclass=sa.pool.NullPool,  # a connection must not live on in a forked process
            connect_args={"timeout": _WAIT_SECONDS} if is_sqlite else {},
        )
    except (sa.exc.NoSuchModuleError, ModuleNotFoundError) as error:
        raise InputError(f"{address.url}: no driver for it is installed ({error})") from error
    if is_sqlite:
        # Python's driver would commit before a CREATE TABLE; SQLAlchemy's manual has this remedy.
        @sa.event.listens_for(engine, "connect")
        def on_connect(connection: Any, _: object) -> None:
            connection.isolation_level = None

        @sa.event.listens_for(engine, "begin")
        def on_begin(connection: "sa.Connection") -> None:
            connection.exec_driver_sql(begin)

    return engine


@contextmanager
def query_rows(name: str) -> Iterator[tuple[Sequence[str], Iterator[Sequence[object]]]]:
    """Give the columns and the rows of a query or table, as a stream; what the query changed is undone.

    Raises:
        InputError: The database or table is not there, the query fails or gives no rows, or two columns have one name.
    """
    import sqlalchemy as sa

    address = parse_address(name)
    _refuse_missing_file(name, address)
    statement = address.sql
    if not statement:
        statement = str(sa.select(sa.text("*")).select_from(sa.table(address.table)).compile(open_engine(address)))
    try:
        with open_engine(address).connect() as connection:
            # Without parameters, a % or : of the query is itself.
            options = {"stream_results": True, "no_parameters": True}
            result = connection.execution_options(**options).exec_driver_sql(statement)
            if not result.returns_rows:
                raise InputError(f"{name}: gives no rows; write a SELECT")
            columns = tuple(result.keys())
            if doubled := [column for column in dict.fromkeys(columns) if columns.count(column) > 1]:
                raise InputError(f"{name}: two columns have the name {doubled[0]!r}; rename one by AS")
            yield columns, (tuple(row) for row in result)
    except sa.exc.SQLAlchemyError as error:
        raise InputError(f"{name}: {reason_of(error)}") from error


def _refuse_missing_file(name: str, address: DatabaseAddress) -> None:
    """Refuse a SQLite file that is not there, which SQLite would make."""
    from pathlib import Path

    import sqlalchemy as sa

    url = sa.make_url(address.url)
    is_file = url.get_backend_name() == "sqlite" and url.database and not url.database.startswith((":", "file:"))
    if is_file and not Path(str(url.database)).is_file():
        raise InputError(f"{name}: no such file as {url.database}")


def reason_of(error: Exception) -> str:
    """Return what the driver says, in one line."""
    return str(getattr(error, "orig", None) or error).strip().split("\n", 1)[0].rstrip(".")
