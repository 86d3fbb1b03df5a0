"""The settings that are chosen from data unless a user gives a value: `auto`."""

from collections.abc import Collection, Iterable

AUTO = "auto"

TEXT_SETTINGS = ("text.pos",)
"""Decided by the other settings alone, before a corpus is prepared."""

POS_SETTINGS = ("text.keep_pos", "model.pos_embedding_size")
"""Settings that read parts of speech: without them there is nothing to choose."""

AUTO_SETTINGS = (
    *TEXT_SETTINGS,
    "text.stop_words",
    "text.keep_pos",
    "model.embeddings",
    "model.max_tokens",
    "model.pos_embedding_size",
    "model.freeze_epochs",
    "model.expert_vectors",
    "model.expert_char_ngrams",
    "model.expert_char_across",
    "model.expert_naive_bayes",
    "training.epochs",
    "training.batch_size",
    "training.batch_tokens",
    "training.embedding_learning_rate",
    "training.adversarial",
    "training.refit",
    "training.cross_fit",
    "training.num_models",
)
"""Every setting that may be `auto`, and is by default."""


def remaining_auto(auto: Iterable[str], *, given: Collection[str], asked: Collection[str] = ()) -> list[str]:
    """Return the settings that stay automatic, in the order of `AUTO_SETTINGS`.

    Args:
        auto: those that were automatic before.
        given: settings with a value of the user's.
        asked: settings for which the user typed `auto`.
    """
    # The order of the list is fixed, so equal choices give equal settings.
    before = list(auto)
    kept = {key for key in before if key not in given} | set(asked)
    unknown = [key for key in before if key not in AUTO_SETTINGS]  # for the check of the config to name
    return [key for key in AUTO_SETTINGS if key in kept] + unknown
