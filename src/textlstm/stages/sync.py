"""`textlstm sync`: send to MLflow what it has missed, and close the runs that died."""

from textlstm.config import SyncConfig
from textlstm.errors import StorageError, TextLSTMError
from textlstm.stages.screen import note, say
from textlstm.tracking.overview import keep_overview
from textlstm.tracking.recovery import SyncedJournal, set_aside, sync_journals
from textlstm.tracking.registry import connect
from textlstm.tracking.store import locate_store


def sync(config: SyncConfig) -> None:
    """Send every unconfirmed journal, print one line each, and renew the overview page.

    Raises:
        InputError: A run of `config.drop` is not there.
        StorageError: MLflow did not take everything, which may pass.
        TextLSTMError: MLflow will not take a run, whenever it is sent.
    """
    # Set the unwanted runs aside first, so that they are not sent below.
    for path in set_aside(config.tracking, config.drop) if config.drop else ():
        say(f"set aside   {path}")
    # Send the journals and print one line each before an error ends the stage.
    synced = sync_journals(config.tracking)
    unfinished = [journal for journal in synced if not journal.note and journal.state.last_error]
    for journal in synced:
        say(f"{journal.key}  {_outcome(journal)}")
    if unfinished:
        lasting = [journal for journal in unfinished if journal.state.is_lasting]
        lines = [f"{journal.key}: not confirmed by MLflow: {journal.state.last_error}" for journal in unfinished]
        if len(lasting) == len(unfinished):  # sending again will not help, so exit code 4 would mislead a script
            keys = ",".join(journal.key for journal in lasting)
            raise TextLSTMError(*lines, f"mend the cause, or set these runs aside: textlstm sync drop={keys}")
        raise StorageError(*lines)
    # Everything was taken: the overview can show it.
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
