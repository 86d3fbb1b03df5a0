"""Registered models: by address, by plain MLflow, and as champion."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from textlstm.config import TrackingConfig
from textlstm.errors import InputError, StorageError
from textlstm.inference.classifier import TextClassifier
from textlstm.model_folder import load_saved_model, save_saved_model
from textlstm.tracking import open_run
from textlstm.tracking.model_logging import log_model_version, task_key
from textlstm.tracking.registry import _fetch, champion_dir, champion_of, connect, resolve_model_dir
from textlstm.tracking.store import locate_store

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

TEXTS = ["the coach said goal", "bank profit share", "", "an actor in a scene"]


def _register(config: TrackingConfig, model_dir: Path) -> str:
    with open_run(config, stage="train", run_name="train") as run:
        run.log_model(model_dir, tags={"corpus": "tiny"})
    return run.summary()[-1]


def test_first_version_becomes_champion_and_later_ones_do_not(
    config: TrackingConfig, client: "MlflowClient", tiny_model: Path
) -> None:
    assert _register(config, tiny_model) == "registered: textlstm version 1 (champion)"
    assert _register(config, tiny_model) == "registered: textlstm version 2"
    champion = champion_of(client, "textlstm")
    assert champion is not None
    assert champion.version == "1"
    version = client.get_model_version("textlstm", "2")
    assert version.tags["corpus"] == "tiny"
    # Every address leads to the same bytes as the folder.
    runs_address = f"runs:/{version.run_id}/model"
    for address in ("models:/textlstm@champion", "models:/textlstm/2", "models:/textlstm/latest", runs_address):
        found = resolve_model_dir(address, config)
        assert (found / "manifest.json").read_bytes() == (tiny_model / "manifest.json").read_bytes()
    # Plain MLflow answers as the classifier does.
    import mlflow.pyfunc
    import pandas as pd

    mlflow.set_tracking_uri(f"sqlite:///{config.dir}/mlflow.db")
    model = mlflow.pyfunc.load_model("models:/textlstm@champion")
    answers = model.predict(pd.DataFrame({"text": TEXTS}))
    expected = TextClassifier.load(tiny_model).predict(TEXTS)
    assert answers["label"].tolist() == [prediction.label for prediction in expected]
    assert answers["decision"].tolist() == [str(prediction.decision) for prediction in expected]
    assert answers["probability"].tolist() == pytest.approx([prediction.probability for prediction in expected])
    assert [column.name for column in model.metadata.signature.inputs.inputs] == [0, "text"]
    assert model.metadata.saved_input_example_info is not None


def test_another_task_is_registered_under_a_name_of_its_own(
    config: TrackingConfig, client: "MlflowClient", tiny_model: Path, tmp_path: Path
) -> None:
    _register(config, tiny_model)
    labels = ("wet", "dry", "cold")
    other = save_saved_model(replace(load_saved_model(tiny_model), labels=labels), tmp_path / "weather")
    name = f"textlstm-{task_key(labels, 'single_label', '')}"
    assert _register(config, other) == f"registered: {name} version 1 (champion)"
    assert _register(config, tiny_model) == "registered: textlstm version 2"
    assert _register(config, other) == f"registered: {name} version 2"
    found = champion_dir(config, task=task_key(labels, "single_label", ""))
    assert found is not None
    assert load_saved_model(found).labels == labels
    # A name that is set is kept.
    mine = replace(config, register="mine")
    assert [_register(mine, model) for model in (tiny_model, other)] == [
        "registered: mine version 1 (champion)",
        "registered: mine version 2",
    ]


def test_logging_the_same_event_again_makes_no_second_version(
    config: TrackingConfig, client: "MlflowClient", tiny_model: Path
) -> None:
    run = client.create_run(client.create_experiment("e", artifact_location=f"{config.dir}/artifacts/e"))
    details = {"name": "textlstm", "tags": {}}
    versions = [
        log_model_version(
            client, run_id=run.info.run_id, saved_model_dir=tiny_model, event_key=key, details=details
        ).version
        for key in ("one", "one", "two")
    ]
    assert versions == ["1", "1", "2"]
    assert len(client.search_logged_models([run.info.experiment_id])) == 2


def test_stored_model_holds_no_pickle(config: TrackingConfig, client: "MlflowClient", tiny_model: Path) -> None:
    run = client.create_run(client.create_experiment("e", artifact_location=f"{config.dir}/artifacts/e"))
    log_model_version(
        client, run_id=run.info.run_id, saved_model_dir=tiny_model, event_key="x", details={"name": "", "tags": {}}
    )
    files = {path.name for path in (Path(config.dir) / "artifacts").rglob("*") if path.is_file()}
    assert {"MLmodel", "pyfunc_code.py", "weights.safetensors"} <= files
    assert not [name for name in files if name.endswith((".pkl", ".pickle", ".joblib", ".pt", ".bin"))]


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            "models:/textlstm@champion",
            "models:/textlstm: no version 'champion' in the registry. "
            "`textlstm train` registers versions; the first one becomes 'champion'.",
        ),
        (
            "models:textlstm",
            "models:textlstm: expected models:/NAME@ALIAS, models:/NAME/VERSION or runs:/RUN/model",
        ),
    ],
)
def test_unknown_addresses_say_what_is_expected(config: TrackingConfig, address: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        resolve_model_dir(address, config)
    assert str(caught.value) == message


def test_folder_is_its_own_address_and_loads_no_mlflow(tmp_path: Path) -> None:
    code = (
        "import sys; from textlstm.config import TrackingConfig; "
        "from textlstm.tracking.registry import resolve_model_dir; "
        "print(resolve_model_dir('outputs/model', TrackingConfig()), 'mlflow' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert result.stdout == "outputs/model False\n"


@pytest.mark.parametrize("faster", [True, False])
def test_of_two_processes_that_fetch_a_model_the_later_takes_the_earlier_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faster: bool
) -> None:
    folder = tmp_path / "models" / "m-1"

    def download(*, artifact_uri: str, dst_path: str, tracking_uri: str) -> str:
        # Another process finishes while this one downloads; in the control, the download itself is lost.
        if faster:
            (folder / "saved").mkdir(parents=True)
        Path(dst_path).mkdir()
        return dst_path if faster else f"{dst_path}/gone"

    monkeypatch.setattr("mlflow.artifacts.download_artifacts", download)
    store = locate_store(TrackingConfig(dir=str(tmp_path), uri="http://127.0.0.1:9"))
    if faster:
        assert [path.name for path in _fetch("m-1", store).iterdir()] == ["saved"]
    else:  # negative control: other errors of the renaming are not taken for a faster process
        with pytest.raises(FileNotFoundError):
            _fetch("m-1", store)


def test_server_that_is_down_is_a_storage_error(tmp_path: Path) -> None:
    config = TrackingConfig(dir=str(tmp_path), uri="http://me:pw@127.0.0.1:9", timeout_seconds=5)
    with pytest.raises(StorageError) as caught:
        resolve_model_dir("models:/textlstm@champion", config)
    assert str(caught.value) == ("MLflow at http://127.0.0.1:9: no answer: connection refused. Check tracking.uri.")


def test_a_warning_that_was_made_an_error_is_told_as_such(
    config: TrackingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `-W error`, a warning of some library ended MLflow, and the message blamed the address."""

    def warned(_: object) -> None:
        raise DeprecationWarning("use the new name")

    monkeypatch.setattr("textlstm.tracking.registry.open_client", warned)
    with pytest.raises(StorageError) as caught:
        connect(locate_store(config), timeout_seconds=1)
    [problem] = caught.value.problems
    assert problem.endswith(
        ": a warning was made an error: DeprecationWarning: use the new name. Take -W error or PYTHONWARNINGS away."
    )
