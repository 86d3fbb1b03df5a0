"""`textlstm info`: what a saved model is."""

from textlstm.config import InfoConfig
from textlstm.model_folder import folder_facts
from textlstm.stages.screen import say
from textlstm.tracking.registry import resolve_model_dir


def info(config: InfoConfig) -> None:
    """Print what is known of the model: labels, network, data, figures, settings, size, digest.

    Raises:
        InputError: there is no such model in MLflow.
        IntegrityError: there is no model, or a file was changed.
    """
    facts = folder_facts(resolve_model_dir(config.model_dir, config.tracking))
    width = max(map(len, facts))
    say(*(f"{name:<{width}}  {value}" for name, value in facts.items()))
