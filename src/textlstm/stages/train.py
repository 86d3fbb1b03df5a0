"""`textlstm train`: a model, or several with different seeds, into a folder, and how good it is."""

from pathlib import Path

from textlstm.config import TrainConfig
from textlstm.corpus.preparation.prepare import prepare_corpus
from textlstm.fitting import join_training, with_values
from textlstm.fitting.unfinished import values_of_first_process
from textlstm.model_folder import named_model_dir
from textlstm.processes.devices import refuse_missing_gpu
from textlstm.processes.distributed import follows_another
from textlstm.processes.signals import cooperative_stop
from textlstm.stages.evaluate import print_evaluation
from textlstm.stages.screen import say
from textlstm.stages.seeds import print_seeds, train_seeds
from textlstm.stages.training import train_model


def train(config: TrainConfig) -> None:
    """Train a model into `config.output_dir` and print how good it is; under `torchrun`, in all its processes."""
    # The other processes of `torchrun` only compute: the first one tracks, prints and writes.
    if follows_another():
        refuse_missing_gpu(training__device=config.training.device)
        with cooperative_stop() as stop:
            store = Path(config.prepared_dir)
            corpus = prepare_corpus(config.data, config.text, prepared_dir=store, num_workers=config.num_workers)
            if config.auto:
                # The first process tries other ways of reading only where it is alone, so the corpus stays.
                config = with_values(config, values_of_first_process(config, corpus))
            join_training(corpus, config, stop=stop)
        return
    # The first or only process runs the whole stage.
    model_dir = named_model_dir(config.output_dir)
    evaluation_dir = model_dir.with_name(f"{model_dir.name}-evaluation")
    if config.seeds == 1:
        trained = train_model(config, model_dir=model_dir, evaluation_dir=evaluation_dir)
    else:
        trained, seeds = train_seeds(config, model_dir=model_dir, evaluation_dir=evaluation_dir)
        print_seeds(seeds)
    if trained.evaluated is not None:
        print_evaluation(trained.evaluated)
    say(f"model       {trained.model_dir}")
