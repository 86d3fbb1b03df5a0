"""`textlstm sync`: send to MLflow what it has missed, and close the runs that died."""

from textlstm.config import SyncConfig
from textlstm.errors import StorageError
from textlstm.stages.screen import note, say
from textlstm.tracking.overview import keep_overview
from textlstm.tracking.recovery import SyncedJournal, sync_journals
from textlstm.tracking.registry import connect
from textlstm.tracking.store import locate_store


def sync(config: SyncConfig) -> None:
    """Send every unconfirmed journal, print one line each, and renew the overview page.

    Raises:
        StorageError: MLflow did not take everything.
    """
    synced = sync_journals(config.tracking)
    unfinished = [journal for journal in synced if not journal.note and journal.state.last_error]
    for journal in synced:
        say(f"{journal.key}  {_outcome(journal)}")
    if unfinished:
        raise StorageError(
            *(f"{journal.key}: not confirmed by MLflow: {journal.state.last_error}" for journal in unfinished)
        )
    client = connect(locate_store(config.tracking), timeout_seconds=config.tracking.timeout_seconds)
    say(f"overview    {keep_overview(config.tracking, client)}")
    if not synced:
        note("nothing was waiting")


def _outcome(journal: SyncedJournal) -> str:
    if journal.note:
        return f"left alone: {journal.note}"
    if journal.state.last_error:
        return "not confirmed"
    refused = f", {len(journal.state.refused)} refused by MLflow" if journal.state.refused else ""
    return f"sent to run {journal.state.run_id}{refused}"
