"""Several networks as the teacher of one: their accuracy at the cost of one (Hinton, Vinyals and Dean 2015)."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from textlstm.config import TrainConfig, with_one_network
from textlstm.corpus.prepared import PreparedCorpus
from textlstm.fitting.cross_fit import stratified_folds
from textlstm.fitting.labelled_rows import LabelledRows
from textlstm.fitting.networks import OnStep, encode_rows, fit_networks, named_steps, network_inputs
from textlstm.models.calibration.temperature import to_probabilities
from textlstm.models.network.network import predict_logits
from textlstm.processes.devices import choose_device
from textlstm.teaching.answers import Answers, right_text


def answers_of_networks(
    rows: LabelledRows,
    corpus: PreparedCorpus,
    config: TrainConfig,
    *,
    work_dir: Path | None,
    stop: Callable[[], int] | None,
    on_step: OnStep | None = None,
) -> Answers:
    """Return the probabilities that `training.num_models` networks give, each trained on all but a fold of the rows.

    A training row is answered by the network that has not learned from it, an unlabelled row by all: their mean.

    Args:
        rows: training rows, validation rows that choose the best epochs, and perhaps unlabelled rows.
        corpus: for its labels and its task.
        config: all settings of stage train.
        work_dir: where checkpoints are kept, in a folder a network.
        stop: asked between steps.
        on_step: called after each batch.
    """
    num_models, num_labels = config.training.num_models, len(corpus.labels)
    single = with_one_network(config)
    device = choose_device(config.training.device, key="training.device")
    folds = stratified_folds(rows.train_targets, num_folds=num_models, seed=config.seed)
    # (N, L) is filled fold by fold, (K, L) summed over the networks.
    of_train = np.zeros((len(rows.train), num_labels), np.float32)
    of_unlabelled = None if rows.unlabelled is None else np.zeros((len(rows.unlabelled), num_labels), np.float32)
    for fold in range(num_models):
        kept, left = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        inputs = network_inputs(rows.without_unlabelled().select_train(kept), single)
        # Each network starts from a seed of its own, as those of an ensemble do.
        [network], _ = fit_networks(
            inputs,
            corpus,
            replace(single, seed=config.seed + fold),
            work_dir=work_dir,
            on_epoch=None,
            stop=stop,
            on_step=named_steps(on_step, f"teacher {fold + 1} of {num_models}"),
            name=f"teacher-{fold}",
        )
        network = network.to(device)
        held_out = rows.select_train(left)
        split = encode_rows(held_out.train, inputs.vocabulary, held_out.train_targets, single)
        of_train[left] = to_probabilities(predict_logits(network, split, device=device), corpus.task)
        if rows.unlabelled is not None and of_unlabelled is not None:
            split = encode_rows(rows.unlabelled, inputs.vocabulary, of_unlabelled, single)
            of_unlabelled += to_probabilities(predict_logits(network, split, device=device), corpus.task) / num_models
    right = right_text(of_train, rows.train_targets, corpus.task)
    line = f"{num_models} networks teach one; out of fold they are right in {right} of the training rows"
    return Answers(of_train, rows.unlabelled, of_unlabelled, (line,))
