"""A project folder that was moved: MLflow keeps absolute addresses of artefacts, which still name the old place.

Left alone, models are not found, and MLflow makes the old folder anew to write into it. Where the old folder of
artefacts is gone and the one beside the database is there, the addresses in the database are rewritten, once.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Tables and columns of MLflow's database that hold addresses of artefacts."""


def follow_move(database: Path, artifact_root: str) -> str:
    """Rewrite addresses below a folder of artefacts that is gone; return that folder, empty where nothing was to do.

    Hold the store's lock.

    Args:
        database: MLflow's sqlite file.
        artifact_root: the folder beside it, where the artefacts are now.
    """
    # The second manager is one transaction: a kill leaves all addresses old or all of them new.
    with closing(sqlite3.connect(database, timeout=30.0)) as connection, connection:
        # The folders of experiments tell where all artefacts were.
        locations = [row[0] or "" for row in connection.execute("SELECT artifact_location FROM experiments")]
        old_root = next((root for root in map(_root, locations) if _was_moved(root, artifact_root)), "")
        if not old_root:
            return ""
        columns = {table: _columns(connection, table) for table, _ in ADDRESSES}
        for table, column in ADDRESSES:
            # Only columns that this version of MLflow's database has.
            if column in columns[table]:
                # Whole folders only: /old/artifacts/x is below /old/artifacts, /old/artifacts2/x is not.
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608  (names of ours)
                    f"WHERE substr({column}, 1, ?) = ?",
                    (artifact_root, len(old_root) + 1, len(old_root) + 1, f"{old_root}/"),
                )
    return old_root


def _root(location: str) -> str:
    """Return the folder of all artefacts, from the address of one experiment's folder in it."""
    return str(Path(location.removeprefix("file://")).parent)


def _was_moved(root: str, artifact_root: str) -> bool:
    is_ours = Path(root).is_absolute() and Path(root).name == Path(artifact_root).name
    return is_ours and root != artifact_root and not Path(root).exists() and Path(artifact_root).is_dir()


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
