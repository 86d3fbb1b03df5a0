"""The doors to spaCy and to datasets."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import spacy

import textlstm.spacy  # what spaCy does by the entry point, where the package was installed with it
from textlstm import TextClassifier
from textlstm.datasets import Labeller
from textlstm.errors import ConfigError, IntegrityError

TEXTS = ["the coach said goal", "bank profit", "", "a scene"]


def test_the_component_sets_categories_one_by_one_and_in_batches(tiny_model: Path) -> None:
    nlp = spacy.blank("en")
    component = nlp.add_pipe("textlstm", config={"model": str(tiny_model)})
    assert component.labels == ("film", "money", "sport")
    expected = TextClassifier.load(tiny_model).predict_proba(TEXTS)
    for documents in ([nlp(text) for text in TEXTS], list(nlp.pipe(TEXTS, batch_size=3)), list(nlp.pipe(TEXTS))):
        for doc, row in zip(documents, expected, strict=True):
            assert doc.cats == pytest.approx(dict(zip(component.labels, row.tolist(), strict=True)), abs=1e-6)


def test_a_pipeline_with_it_is_saved_and_loaded(tiny_model: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    nlp = spacy.blank("en")
    nlp.add_pipe("textlstm", config={"model": str(model)})
    before = nlp(TEXTS[0]).cats
    nlp.to_disk(tmp_path / "pipeline")
    shutil.rmtree(model)
    assert TextClassifier.load(tmp_path / "pipeline" / "textlstm").labels == ("film", "money", "sport")
    assert spacy.load(tmp_path / "pipeline")(TEXTS[0]).cats == before


def test_the_entry_point_of_the_project_leads_to_the_factory() -> None:
    project = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())
    assert project["project"]["entry-points"] == {"spacy_factories": {"textlstm": "textlstm.spacy:make_component"}}
    assert spacy.blank("en").get_factory_meta("textlstm").factory == "textlstm"
    assert callable(textlstm.spacy.make_component)


def test_without_a_model_it_says_what_to_give() -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("textlstm")
    with pytest.raises(ConfigError, match=r"^textlstm: no model; give one, as in nlp.add_pipe"):
        nlp("a text")


@pytest.fixture
def dataset(tmp_path: Path) -> Any:
    datasets = pytest.importorskip("datasets")
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(f'{{"text": "{text}"}}\n' for text in TEXTS))
    return datasets.load_dataset("json", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))


def test_a_dataset_is_labeled_and_the_second_time_from_the_cache(
    dataset: Any, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labeled = dataset.map(Labeller(tiny_model, prefix="our_"), batched=True)
    expected = TextClassifier.load(tiny_model).predict(TEXTS)
    assert list(labeled["our_label"]) == [prediction.label for prediction in expected]
    assert list(labeled["our_decision"]) == ["accepted", "accepted", "empty", "accepted"]

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(TextClassifier, "load", refuse)
    again = dataset.map(Labeller(tiny_model, prefix="our_"), batched=True)
    assert list(again["our_probability"]) == list(labeled["our_probability"])
    with pytest.raises(AssertionError, match="computed again"):  # the control: another function is not in the cache
        dataset.map(Labeller(tiny_model, prefix="other_"), batched=True)


def test_several_labels_a_text_are_a_list(tiny_model: Path, tmp_path: Path) -> None:
    """Joined by commas, a label with a comma could not be told from two."""
    from dataclasses import replace

    from textlstm.config import Task
    from textlstm.inference.answers import answer_columns
    from textlstm.model_folder import load_saved_model, save_saved_model
    from textlstm.models.calibration.combination import BranchCombiner
    from textlstm.saved_model import Thresholds

    saved_model = load_saved_model(tiny_model)
    gate = {f"gate.{name}": value for name, value in BranchCombiner(Task.multi_label, *([0.5] * 8)).to_arrays().items()}
    several = replace(
        saved_model,
        task=Task.multi_label,
        labels=("film, tv", "money", "sport"),
        thresholds=Thresholds(per_class=(0.0, 0.0, 1.1)),
        weights={**saved_model.weights, **gate},
    )
    model = save_saved_model(several, tmp_path / "several")
    assert Labeller(model)({"text": ["a goal", ""]})["label"] == [["film, tv", "money"], []]
    classifier = TextClassifier.load(model)
    answer = answer_columns(classifier, ["a goal"], classifier.predict_proba(["a goal"]))
    assert (answer["label"], answer["labels"]) == (["film, tv,money"], [["film, tv", "money"]])
    # The control: a model of one label a text answers as ever.
    assert isinstance(Labeller(tiny_model)({"text": ["a goal"]})["label"][0], str)


def test_another_model_in_the_same_place_is_computed_anew(dataset: Any, tiny_model: Path, tmp_path: Path) -> None:
    from datasets.fingerprint import Hasher

    from textlstm.model_folder import load_saved_model, save_saved_model
    from textlstm.saved_model import Thresholds

    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    first, same = Hasher.hash(Labeller(model)), Hasher.hash(Labeller(model))
    from dataclasses import replace

    save_saved_model(replace(load_saved_model(model), thresholds=Thresholds(abstain_below=0.5)), model)
    assert first == same != Hasher.hash(Labeller(model))
    with pytest.raises(IntegrityError, match="no model here"):
        Labeller(tmp_path / "nothing")


def test_the_factory_and_a_prediction_load_no_library_of_training(tiny_model: Path) -> None:
    """spaCy imports the factory in every process that makes a pipeline, workers and servers among them."""
    code = (
        "import sys; from textlstm import TextClassifier\n"
        f"TextClassifier.load({str(tiny_model)!r}, without_torch=True).predict(['a goal'])\n"
        "import textlstm.spacy\n"
        "heavy = ('torch', 'mlflow', 'pandas', 'matplotlib', 'sklearn', 'scipy', 'hydra', 'datasets')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
