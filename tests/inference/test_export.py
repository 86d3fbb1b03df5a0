"""An exported model is a saved model of its own: the same answers, a gate before it is written, and no torch."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from textlstm.cli import main
from textlstm.config import Device, ExportPrecision, ModelConfig, Precision, Task, TextConfig
from textlstm.errors import ConfigError, InputError, IntegrityError
from textlstm.inference.classifier import TextClassifier
from textlstm.model_folder import (
    CARD_FILE,
    DATA_FILES,
    MANIFEST_FILE,
    NETWORKS_FILE,
    load_saved_model,
    read_manifest,
    save_saved_model,
)
from textlstm.models.calibration.combination import BranchCombiner
from textlstm.models.network.network import NetworkSizes, TextNetwork
from textlstm.models.network.precision import has_bf16_kernels
from textlstm.saved_model import SavedModel
from textlstm.text.pipeline import TextPipeline

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra 'onnx')")
pytest.importorskip("onnx", reason="onnx is not installed (extra 'onnx')")

from textlstm.inference import export as export_module
from textlstm.inference.export import export_onnx, sample_texts

TEXTS = ["goal match coach", "", "bank profit unseenword", "actor " * 500, "the share of the plot", " \u200b"]


@pytest.fixture(scope="module")
def exported(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as ONNX, written by the command."""
    folder = tmp_path_factory.mktemp("exported") / "model"
    assert main(["export", f"model_dir={tiny_model}", f"output_dir={folder}"]) == 0
    return folder


def export(saved_model: SavedModel, precision: ExportPrecision = ExportPrecision.fp32) -> export_module.Exported:
    return export_onnx(saved_model, precision=precision, model_digest="0")


def test_the_folder_gives_the_same_answers(tiny_model: Path, exported: Path) -> None:
    original, other = TextClassifier.load(tiny_model), TextClassifier.load(exported)
    np.testing.assert_allclose(other.predict_proba(TEXTS), original.predict_proba(TEXTS), atol=1e-6)
    wanted, found = original.predict(TEXTS), other.predict(TEXTS)
    assert [(one.label, one.decision) for one in found] == [(one.label, one.decision) for one in wanted]
    assert len({one.label for one in wanted}) == 4
    assert other.predict_proba([]).shape == (0, 3)


def test_the_folder_is_a_saved_model_with_its_record(tiny_model: Path, exported: Path) -> None:
    assert sorted(file.name for file in exported.iterdir()) == sorted(
        (*DATA_FILES, NETWORKS_FILE, MANIFEST_FILE, CARD_FILE)
    )
    manifest = read_manifest(exported)
    assert NETWORKS_FILE in manifest["sha256"]
    record = manifest["provenance"]["export"]
    assert (record["format"], record["precision"], record["num_texts"]) == ("onnx", "fp32", 256)
    assert 0 < record["largest_difference"] <= 1e-5
    assert record["agreement"] == 1.0
    names = set(load_saved_model(exported).weights)
    assert {name for name in load_saved_model(tiny_model).weights if not name.startswith("network.")} == names


def test_a_changed_graph_is_refused(exported: Path, tmp_path: Path) -> None:
    for file in exported.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert load_saved_model(tmp_path).is_exported
    (tmp_path / NETWORKS_FILE).write_bytes(b"x" + (exported / NETWORKS_FILE).read_bytes())
    with pytest.raises(IntegrityError, match=r"model\.onnx: its sha256 is not the manifest's"):
        load_saved_model(tmp_path)
    (tmp_path / NETWORKS_FILE).unlink()
    with pytest.raises(IntegrityError, match=r"model\.onnx: missing"):
        load_saved_model(tmp_path)


@pytest.mark.parametrize("error", [1e-3, np.nan])
def test_a_graph_that_differs_fails_the_gate_and_writes_nothing(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: float
) -> None:
    arrays = SavedModel.arrays

    def off(self: SavedModel, prefix: str) -> dict[str, np.ndarray]:
        found = arrays(self, prefix)
        if prefix.startswith("network.") and sys._getframe(1).f_code.co_filename == export_module.__file__:
            found["head.output.bias"] = found["head.output.bias"] + np.array([error, 0, 0], dtype=np.float32)
        return found

    monkeypatch.setattr(SavedModel, "arrays", off)
    assert main(["export", f"model_dir={tiny_model}", f"output_dir={tmp_path / 'out'}"]) == 3
    assert "1e-05 is allowed; nothing was written" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    assert main(["export", f"model_dir={tiny_model}", f"output_dir={tmp_path / 'out'}"]) == 0


def test_int8_is_smaller_and_says_how_often_it_agrees(
    tiny_model: Path, exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "small"
    assert main(["export", f"model_dir={tiny_model}", f"output_dir={folder}", "precision=int8"]) == 0
    record = read_manifest(folder)["provenance"]["export"]
    assert 1e-5 < record["largest_difference"] < 0.1
    assert 0.9 < record["agreement"] <= 1.0
    out = capsys.readouterr().out
    assert f"difference  {record['largest_difference']:.1e} at most (no limit for int8), over 256 sample texts" in out
    assert f"agreement   {record['agreement']:.2%}" in out
    assert (folder / NETWORKS_FILE).stat().st_size < (exported / NETWORKS_FILE).stat().st_size
    alone = TextClassifier.load(folder).predict_proba(TEXTS[:1])
    among = TextClassifier.load(folder).predict_proba(TEXTS)[:1]
    np.testing.assert_allclose(alone, among, atol=1e-6)  # a label does not depend on the rows beside it


def test_several_labels_a_text(tiny_model: Path, tmp_path: Path) -> None:
    saved_model = load_saved_model(tiny_model)
    thresholds = replace(saved_model.thresholds, per_class=(0.2, 0.3, 0.4))
    gate = {f"gate.{name}": value for name, value in BranchCombiner(Task.multi_label, *([0.5] * 8)).to_arrays().items()}
    several = replace(
        saved_model, task=Task.multi_label, thresholds=thresholds, weights={**saved_model.weights, **gate}
    )
    folder = save_saved_model(export(several).saved_model, tmp_path / "out")
    wanted, found = TextClassifier(several).predict(TEXTS), TextClassifier.load(folder).predict(TEXTS)
    assert [one.labels for one in found] == [one.labels for one in wanted]
    assert any(len(one.labels) > 1 for one in wanted)


PREDICT = """
import json, sys
from textlstm.inference.classifier import TextClassifier
probabilities = TextClassifier.load(sys.argv[1]).predict_proba(json.loads(sys.argv[2])).tolist()
print(json.dumps([probabilities, "torch" in sys.modules]))
"""


def test_a_model_that_tags_and_spells_needs_no_torch_either(tiny_model: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = ModelConfig(hidden_size=8, embedding_size=8, pos_embedding_size=4, char_cnn_size=3, subword_buckets=20)
    saved_model = load_saved_model(tiny_model)
    network = TextNetwork(model, NetworkSizes(vocabulary_size=len(saved_model.vocabulary), num_labels=3))
    kept = {name: value for name, value in saved_model.weights.items() if not name.startswith("network.")}
    weights = kept | {f"network.0.{name}": value for name, value in network.to_arrays().items()}
    text = TextConfig()
    tagging = replace(saved_model, text=text, model=model, weights=weights, text_fingerprint=TextPipeline(text).saved)
    folder = save_saved_model(export(tagging).saved_model, tmp_path / "out")
    command = [sys.executable, "-c", PREDICT, str(folder), json.dumps(TEXTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    probabilities, has_torch = json.loads(done.stdout)
    assert not has_torch
    np.testing.assert_allclose(probabilities, TextClassifier(tagging).predict_proba(TEXTS), atol=1e-5)


def test_sample_texts_hold_the_hard_cases(tiny_model: Path) -> None:
    saved_model = load_saved_model(tiny_model)
    texts = sample_texts(saved_model)
    lengths = [len(text.split()) for text in texts]
    assert texts == sample_texts(saved_model)
    assert (min(lengths), 1 in lengths, max(lengths) > saved_model.model.max_tokens) == (0, True, True)
    assert any(word in text for text in texts for word in ("zxqv", "\u65e5\u672c\u8a9e"))


def test_what_cannot_be_exported_is_refused(
    tiny_model: Path, exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", f"model_dir={exported}", f"output_dir={tmp_path / 'out'}"]) == 2
    assert "model_dir: was exported already" in capsys.readouterr().err
    assert main(["export", f"model_dir={tiny_model}", f"output_dir={tiny_model}", "overwrite=true"]) == 2
    assert "is the model itself; set another folder" in capsys.readouterr().err
    assert main(["export", f"model_dir={tiny_model}", f"output_dir={exported}"]) == 2
    assert "set overwrite=true to replace it" in capsys.readouterr().err
    saved_model = load_saved_model(tiny_model)
    in_bf16 = replace(saved_model, text_fingerprint=replace(saved_model.text_fingerprint, tagger="bf16"))
    with pytest.raises(InputError, match="its texts are tagged in bf16"):
        export(replace(in_bf16, text=TextConfig(drop_pos=["PUNCT"])))
    export(replace(in_bf16, text=TextConfig()))  # whose tags nothing reads
    assert list(tmp_path.iterdir()) == []


def test_what_an_exported_model_cannot_do_is_refused(exported: Path) -> None:
    for settings in ({"device": Device.cuda}, {"precision": Precision.bf16}):
        with pytest.raises(ConfigError, match="an exported model"):
            TextClassifier.load(exported, **settings)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="cannot be looked into; set model_dir to the model that it came from"):
        _ = TextClassifier.load(exported).networks


LABEL = """
import sys
from pathlib import Path
from textlstm.labelling.engines import start
start.INLINE_BYTES = int(sys.argv[1])
from textlstm.cli import main
assert main(["label", *sys.argv[2:]]) == 0
print([name for name in ("torch", "onnxruntime", "onnx") if name in sys.modules])
"""
WORKER = """
import sys
from textlstm.labelling.engines import worker_main as worker
code = worker.serve(worker.load_model)
print([name for name in ("torch", "onnxruntime", "onnx") if name in sys.modules], file=sys.stderr)
"""


def label(model: Path, source: Path, output: Path, *, inline_bytes: int) -> str:
    """Label in a fresh process; return which libraries it had loaded at its end."""
    settings = (f"model_dir={model}", f"input={source}", f"output={output}", "labelling.num_workers=2")
    command = [sys.executable, "-c", LABEL, str(inline_bytes), *settings, "labelling.shard_rows=50"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def test_labelling_loads_no_torch(tiny_model: Path, exported: Path, tmp_path: Path) -> None:
    rows = tmp_path / "in.jsonl"
    rows.write_text("".join(json.dumps({"text": TEXTS[row % len(TEXTS)]}) + "\n" for row in range(120)))
    assert label(exported, rows, tmp_path / "inline.jsonl", inline_bytes=1_000_000) == "['onnxruntime']"
    assert label(exported, rows, tmp_path / "workers.jsonl", inline_bytes=0) == "[]"
    assert (tmp_path / "inline.jsonl").read_bytes() == (tmp_path / "workers.jsonl").read_bytes()
    found = [json.loads(line) for line in (tmp_path / "inline.jsonl").open()]
    wanted = TextClassifier.load(tiny_model).predict([row["text"] for row in found])
    for row, prediction in zip(found, wanted, strict=True):
        assert (row["predicted_label"], row["decision"]) == (prediction.label, prediction.decision)
        assert row["probability"] == pytest.approx(prediction.probability, abs=1e-5)


needs_bf16 = pytest.mark.skipif(not has_bf16_kernels("cpu"), reason="this processor has no bf16 kernels for LSTMs")


@pytest.mark.parametrize(
    ("name", "settings", "loaded"),
    [
        ("exported", {"device": "auto"}, "['onnxruntime']"),
        ("tiny_model", {"device": "cpu"}, "[]"),
        pytest.param("tiny_model", {"precision": "bf16"}, "['torch']", marks=needs_bf16),
    ],
)
def test_a_worker_process_loads_torch_only_where_torch_computes(
    name: str, settings: dict[str, str], loaded: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    model = str(request.getfixturevalue(name))
    job = {"model_dir": model, "settings": settings, "root": str(tmp_path), "scratch": "s"}
    done = subprocess.run(
        [sys.executable, "-c", WORKER], input=json.dumps(job) + "\n", capture_output=True, text=True, check=True
    )
    assert {"ready": True} in map(json.loads, done.stdout.splitlines())
    assert done.stderr.splitlines()[-1] == loaded


def test_onnxruntime_reports_nothing_to_its_maker(exported: Path) -> None:
    """It keeps a session file among temporary files while it reports its use over the network."""
    code = (
        "import os, sys, tempfile; os.environ['TMPDIR'] = tempfile.mkdtemp()\n"
        "if sys.argv[2:]: os.environ['ORT_DISABLE_TELEMETRY'] = sys.argv[2]\n"
        "from textlstm.inference.classifier import TextClassifier\n"
        "TextClassifier.load(sys.argv[1]).predict(['a goal'])\n"
        "print(os.listdir(os.environ['TMPDIR']))"
    )

    def left(*allowed: str) -> str:
        command = [sys.executable, "-c", code, str(exported), *allowed]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    assert left() == "[]"
    if left("0") == "[]":
        pytest.skip("this onnxruntime reports nothing anyway")
