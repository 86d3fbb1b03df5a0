import errno
import json
import os
from pathlib import Path

import pytest
import torch

from textlstm.errors import ConfigError, IntegrityError, StorageError
from textlstm.training.checkpoints import CheckpointStore


def _tensors(step: int) -> dict[str, torch.Tensor]:
    return {"weights": torch.full((3, 2), float(step)), "steps": torch.tensor(step)}


def _store(directory: Path, *, steps: tuple[int, ...] = ()) -> CheckpointStore:
    store = CheckpointStore(directory, fingerprint="f")
    for step in steps:
        store.save(_tensors(step), {"step": step})
    return store


def test_empty_folder_has_no_checkpoint(tmp_path: Path) -> None:
    assert _store(tmp_path / "absent").load() is None


def test_newest_checkpoint_comes_back_and_two_are_kept(tmp_path: Path) -> None:
    found = _store(tmp_path, steps=(1, 2, 3)).load()
    assert found is not None
    assert (found.progress, found.events) == ({"step": 3}, [])
    assert {name: tensor.tolist() for name, tensor in found.tensors.items()} == {
        "weights": [[3.0, 3.0], [3.0, 3.0], [3.0, 3.0]],
        "steps": 3,
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "state-000002.json",
        "state-000002.safetensors",
        "state-000003.json",
        "state-000003.safetensors",
    ]


@pytest.mark.parametrize("name", ["state-000002.json", "state-000002.safetensors"])
def test_every_flipped_byte_and_every_cut_is_seen(name: str, tmp_path: Path) -> None:
    store = _store(tmp_path, steps=(1, 2))
    path = tmp_path / name
    whole = path.read_bytes()
    places = range(0, len(whole), max(1, len(whole) // 60))
    damages = [whole[:i] + bytes([whole[i] ^ 4]) + whole[i + 1 :] for i in places] + [whole[:i] for i in places]
    for damage in damages:
        path.write_bytes(damage)
        found = store.load()
        assert found is not None
        assert found.progress == {"step": 1}
        assert len(found.events) == 1
        assert found.events[0].startswith(f"{tmp_path / 'state-000002.json'}: damaged checkpoint: ")
    path.write_bytes(whole)  # negative control
    found = store.load()
    assert found is not None
    assert (found.progress, found.events) == ({"step": 2}, [])


def test_only_damaged_checkpoints_are_refused(tmp_path: Path) -> None:
    store = _store(tmp_path, steps=(1, 2))
    (tmp_path / "state-000001.safetensors").unlink()
    (tmp_path / "state-000002.safetensors").write_bytes(b"")
    with pytest.raises(IntegrityError) as caught:
        store.load()
    assert caught.value.problems == (
        f"{tmp_path / 'state-000002.json'}: damaged checkpoint: the digest of its tensors is off",
        f"{tmp_path / 'state-000001.json'}: damaged checkpoint: [Errno 2] No such file or directory: "
        f"'{tmp_path / 'state-000001.safetensors'}'",
        f"{tmp_path}: no sound checkpoint; remove the folder to start anew",
    )


def test_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    _store(tmp_path, steps=(1,))
    with pytest.raises(ConfigError) as caught:
        CheckpointStore(tmp_path, fingerprint="g").load()
    assert str(caught.value) == (
        f"{tmp_path / 'state-000001.json'}: a checkpoint of a training with other data or settings; "
        "remove the folder or choose another to start anew"
    )


def test_unknown_format_is_named(tmp_path: Path) -> None:
    from textlstm.training import checkpoints

    store = _store(tmp_path, steps=(1,))
    path = tmp_path / "state-000001.json"
    content = json.loads(path.read_bytes())
    del content["sha256"]
    content["format"] = 99
    path.write_bytes(checkpoints._SIGNED.to_bytes(content))
    with pytest.raises(IntegrityError, match=r"damaged checkpoint: format 99, this version reads 1"):
        store.load()


@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_failing_disk_keeps_the_old_checkpoint(
    call: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = _store(tmp_path, steps=(1,))

    def fail(*_arguments: object, **_settings: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patched:
        patched.setattr(os if call == "fsync" else Path, call, fail)
        with pytest.raises(StorageError) as caught:
            store.save(_tensors(2), {"step": 2})
    assert str(caught.value) == f"{tmp_path}: the checkpoint cannot be written: {os.strerror(code)}"
    found = store.load()
    assert found is not None
    assert found.progress == {"step": 1}
    store.save(_tensors(2), {"step": 2})  # the disk works again
    found = store.load()
    assert found is not None
    assert found.progress == {"step": 2}
