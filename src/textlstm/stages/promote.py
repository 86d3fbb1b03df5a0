"""`textlstm promote`: the champion changes only when a paired test says so."""

from textlstm.config import PromoteConfig
from textlstm.errors import InputError
from textlstm.evaluation.comparison import format_p_value, mcnemar_p_value
from textlstm.stages.screen import note, say
from textlstm.tracking.model_logging import CHAMPION
from textlstm.tracking.overview import keep_overview
from textlstm.tracking.registry import champion_of, connect, get_version
from textlstm.tracking.store import locate_store
from textlstm.tracking.tracked_runs import load_paired_rows


def promote(config: PromoteConfig) -> None:
    """Move the alias `champion` to `config.version` if it is better beyond chance on the same test rows.

    Raises:
        InputError: There is no such version, it was not tested on the champion's rows, or it does not win.
    """
    client = connect(locate_store(config.tracking), timeout_seconds=config.tracking.timeout_seconds)
    name = config.tracking.register
    challenger = get_version(client, name, alias_or_version=config.version)
    champion = champion_of(client, name)
    # Nothing changes where the challenger holds the alias already.
    if champion is not None and champion.version == challenger.version:
        say(f"{challenger} is the champion already")
        return
    # The test pairs the rows that only one of the two has right; a champion can be tested only where there is one.
    if config.force or champion is None:
        note("no test was made")
    else:
        contrast = load_paired_rows(client, challenger.run_id).against(load_paired_rows(client, champion.run_id))
        p_value = mcnemar_p_value(len(contrast.won), len(contrast.lost))
        outcome = (
            f"{challenger} against {champion} on {contrast.num_rows:,} rows: won {len(contrast.won)}, "
            f"lost {len(contrast.lost)}, McNemar p {format_p_value(p_value)}"
        )
        if len(contrast.won) <= len(contrast.lost) or p_value >= 1 - config.confidence:
            raise InputError(f"{outcome}: not better beyond chance; the champion stays. force=true promotes it anyway")
        say(outcome)
    # From here on the registry answers with the challenger.
    client.set_registered_model_alias(name, CHAMPION, challenger.version)
    say(f"{challenger} is the champion now")
    keep_overview(config.tracking, client)
