"""The saved model: whole or not at all, nothing opened before its bytes are checked, plain data only."""

import json
import random
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from textlstm.arrays.hashing import content_hash
from textlstm.errors import InputError, IntegrityError, StorageError
from textlstm.model_folder import (
    CARD_FILE,
    DATA_FILES,
    MANIFEST_FILE,
    TRAINING_ROWS_FILE,
    add_figures,
    load_saved_model,
    model_digest,
    refuse_existing,
    save_saved_model,
)

EVERY_FILE = (*DATA_FILES, MANIFEST_FILE)


def copy_of(model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model, tmp_path / "copy"))


def refused(directory: Path) -> bool:
    try:
        load_saved_model(directory)
    except IntegrityError:
        return True
    return False


def test_saved_again_a_model_has_the_same_bytes(tiny_model: Path, tmp_path: Path) -> None:
    again = save_saved_model(load_saved_model(tiny_model), tmp_path / "again")
    assert {name: (again / name).read_bytes() for name in EVERY_FILE} == {
        name: (tiny_model / name).read_bytes() for name in EVERY_FILE
    }
    assert model_digest(again) == model_digest(tiny_model)


def test_folder_holds_the_documented_files_only(tiny_model: Path) -> None:
    assert sorted(path.name for path in tiny_model.iterdir()) == [
        "README.md",
        "config.json",
        "manifest.json",
        "stop_words.txt",
        "vocabulary.txt",
        "weights.safetensors",
    ]


def test_a_model_behind_a_link_is_replaced_where_it_lies(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "disk" / "old").mkdir(parents=True)
    (tmp_path / "disk" / "old" / "left.txt").write_text("of an earlier model")
    (tmp_path / "model").symlink_to("disk/old")
    (tmp_path / "fresh").symlink_to("disk/new")
    for name in ("model", "fresh", "plain"):  # plain: control
        save_saved_model(load_saved_model(tiny_model), tmp_path / name)
        assert model_digest(tmp_path / name) == model_digest(tiny_model)
    assert ((tmp_path / "model").readlink(), (tmp_path / "fresh").readlink()) == (Path("disk/old"), Path("disk/new"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "fresh", "model", "plain"]
    assert sorted(path.name for path in (tmp_path / "disk").iterdir()) == ["new", "old"]
    assert not (tmp_path / "disk" / "old" / "left.txt").exists()


def flip_and_check(tiny_model: Path, tmp_path: Path, *, flips: int) -> int:
    directory = copy_of(tiny_model, tmp_path)
    dice = random.Random(5)
    num_refused = 0
    for name in EVERY_FILE:
        original = (directory / name).read_bytes()
        for _ in range(flips if original else 0):
            damaged = bytearray(original)
            damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
            (directory / name).write_bytes(damaged)
            num_refused += refused(directory)
        (directory / name).write_bytes(original)
    assert not refused(directory), "negative control: the untouched copy loads"
    return num_refused


def test_every_flipped_bit_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    flips = 12
    not_empty = sum((tiny_model / name).stat().st_size > 0 for name in EVERY_FILE)
    assert flip_and_check(tiny_model, tmp_path, flips=flips) == flips * not_empty


@pytest.mark.long
def test_every_flipped_bit_of_500_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    not_empty = sum((tiny_model / name).stat().st_size > 0 for name in EVERY_FILE)
    assert flip_and_check(tiny_model, tmp_path, flips=500) == 500 * not_empty


@pytest.mark.parametrize("name", EVERY_FILE)
def test_every_truncation_is_refused(tiny_model: Path, tmp_path: Path, name: str) -> None:
    directory = copy_of(tiny_model, tmp_path)
    original = (directory / name).read_bytes()
    dice = random.Random(7)
    cuts = [dice.randrange(len(original)) for _ in range(50)] if original else []
    assert [
        cut for cut in cuts if not (directory / name).write_bytes(original[:cut]) < 0 and not refused(directory)
    ] == []
    (directory / name).unlink()
    assert refused(directory)


def test_changed_file_is_named_with_the_remedy(tiny_model: Path, tmp_path: Path) -> None:
    directory = copy_of(tiny_model, tmp_path)
    (directory / "vocabulary.txt").write_text("<pad>\n<unk>\n")
    with pytest.raises(IntegrityError) as error:
        load_saved_model(directory)
    assert error.value.problems == (
        f"{directory}/vocabulary.txt: its sha256 is not the manifest's; copy the model folder again or train anew",
    )


def test_missing_model_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError) as error:
        load_saved_model(tmp_path)
    assert str(error.value) == f"{tmp_path}: no model here (manifest.json is missing); train one or set model_dir"


def test_a_later_format_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    import hashlib

    directory = copy_of(tiny_model, tmp_path)
    manifest = json.loads((directory / MANIFEST_FILE).read_text())
    manifest["format_version"] = 2
    body = {key: value for key, value in manifest.items() if key != "manifest_sha256"}
    canonical = json.dumps(body, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    manifest["manifest_sha256"] = hashlib.sha256(canonical.encode()).hexdigest()
    (directory / MANIFEST_FILE).write_text(json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True) + "\n")
    with pytest.raises(IntegrityError, match="model format 2, this textlstm reads 1; train it again"):
        load_saved_model(directory)


def test_failed_write_leaves_the_old_model(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = copy_of(tiny_model, tmp_path)
    before = model_digest(directory)
    saved_model = load_saved_model(directory)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="No space left on device; no model was saved"):
        save_saved_model(saved_model, directory)
    assert model_digest(directory) == before
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_loading_reads_no_pickle(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pickle

    def forbidden(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("something was unpickled")

    monkeypatch.setattr(pickle, "Unpickler", forbidden)
    monkeypatch.setattr(pickle, "load", forbidden)
    monkeypatch.setattr(pickle, "loads", forbidden)
    assert load_saved_model(tiny_model).labels == ("film", "money", "sport")


def test_the_card_tells_people_what_the_model_is(tiny_model: Path, tmp_path: Path) -> None:
    model = copy_of(tiny_model, tmp_path)
    digest = model_digest(model)
    assert f"| digest | {digest} |" in (model / CARD_FILE).read_text()
    assert "| labels | 3: film, money, sport |" in (model / CARD_FILE).read_text()
    add_figures(model, {"test/accuracy": (0.9, 0.85, 0.95)})
    assert "| test/accuracy | 0.9000 [0.8500, 0.9500] |" in (model / CARD_FILE).read_text()
    assert model_digest(model) == digest
    assert (load_saved_model(model).provenance or {})["figures"] == {"test/accuracy": [0.9, 0.85, 0.95]}


def test_a_card_may_be_edited_or_absent(tiny_model: Path, tmp_path: Path) -> None:
    model = copy_of(tiny_model, tmp_path)
    (model / CARD_FILE).write_text("# Ours")
    assert not refused(model)
    (model / CARD_FILE).unlink()
    assert not refused(model)


def test_a_model_says_which_texts_it_learned_from(tiny_model: Path, tmp_path: Path) -> None:
    """Texts are told by 8 bytes each, white space aside; a model of an older textlstm does not know."""
    old = load_saved_model(tiny_model)
    assert old.seen_in_training(["goal"]) is None
    hashes = np.unique(np.array([content_hash(text) for text in ("a goal", "the bank")], np.uint64))
    directory = save_saved_model(replace(old, training_rows=hashes), tmp_path / "model")
    assert (directory / TRAINING_ROWS_FILE).stat().st_size == 16
    found = load_saved_model(directory).seen_in_training(["a  goal ", "a bank", "the bank"])
    assert found is not None
    assert found.tolist() == [True, False, True]
    (directory / TRAINING_ROWS_FILE).write_bytes(bytes(16))
    assert refused(directory)
    nothing = replace(old, training_rows=np.zeros(0, np.uint64)).seen_in_training(["a goal"])
    assert nothing is not None
    assert nothing.tolist() == [False]


def test_a_folder_of_other_files_is_never_replaced(tmp_path: Path) -> None:
    """`overwrite=true` on a folder with a user's own files removed them all."""
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter.txt").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(InputError) as caught:
            refuse_existing(folder, overwrite=overwrite)
        assert caught.value.problems == (
            f"{folder}: holds files that are no model, which a model would replace; set another output_dir",
        )
    (folder / "chapter.txt").unlink()
    refuse_existing(folder, overwrite=False)
    (folder / "manifest.json").write_text("{}")
    refuse_existing(folder, overwrite=True)
