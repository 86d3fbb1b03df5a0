"""Where the fast tagger runs: on the CPU unless asked otherwise; a GPU that is not there is an error that says so."""

import pytest
import torch

from textlstm.config import DataConfig, Device, Tagger, TextConfig
from textlstm.corpus.preparation.corpus_folder import corpus_key
from textlstm.errors import ConfigError
from textlstm.text import workers
from textlstm.text.spacy_models import resolve_device, tagger_device, uses_torch

ON_GPU = TextConfig(tagger_device=Device.cuda)


@pytest.fixture
def has_gpu(monkeypatch, request):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: request.param)


@pytest.mark.parametrize(
    ("has_gpu", "device", "expected"),
    [
        (True, Device.cpu, "cpu"),
        (True, Device.auto, "cuda"),
        (True, Device.cuda, "cuda"),
        (False, Device.cpu, "cpu"),
        (False, Device.auto, "cpu"),
    ],
    indirect=["has_gpu"],
)
@pytest.mark.usefixtures("has_gpu")
def test_the_device_is_the_one_that_is_there(device, expected):
    assert tagger_device(TextConfig(tagger_device=device)) == expected


@pytest.mark.parametrize("has_gpu", [False], indirect=True)
@pytest.mark.usefixtures("has_gpu")
def test_a_missing_gpu_is_named():
    with pytest.raises(ConfigError, match=r"text\.tagger_device=cuda: torch .* sees no GPU here; set .*=auto or cpu"):
        tagger_device(ON_GPU)


@pytest.mark.parametrize("has_gpu", [True], indirect=True)
@pytest.mark.usefixtures("has_gpu")
@pytest.mark.parametrize("changes", [{"pos": False}, {"lemmas": True}, {"tagger": Tagger.spacy}])
def test_only_the_fast_tagger_is_moved(changes):
    assert tagger_device(TextConfig(tagger_device=Device.cuda, **changes)) == "cpu"


def test_torch_is_loaded_for_a_gpu_only():
    assert uses_torch(ON_GPU)
    assert not uses_torch(TextConfig())


def test_where_it_runs_is_no_part_of_the_corpus():
    keys = [corpus_key(DataConfig(), text, sources=[]) for text in (TextConfig(), ON_GPU, TextConfig(lowercase=False))]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize("has_gpu", [True], indirect=True)
@pytest.mark.usefixtures("has_gpu")
def test_one_process_feeds_the_gpu(monkeypatch):
    devices = []

    class FakePipeline:
        def __init__(self, config, *, saved, device, without_torch):
            devices.append((device, without_torch))

        def prepare(self, texts):
            return list(texts)

    monkeypatch.setattr(workers, "TextPipeline", FakePipeline)
    blocks = [["a " * 2_000_000], ["b"]]
    assert list(workers.prepare_in_processes(ON_GPU, blocks, num_workers=2)) == blocks
    assert devices == [("cuda", False)]
    with workers.start_workers_early(ON_GPU, num_workers=2, num_bytes=10**9) as group:
        assert group is None


@pytest.mark.parametrize("has_gpu", [False], indirect=True)
@pytest.mark.usefixtures("has_gpu")
def test_without_a_gpu_auto_is_as_good_as_cpu():
    config = resolve_device(TextConfig(tagger_device=Device.auto))
    assert config == TextConfig()
    assert not uses_torch(config)
