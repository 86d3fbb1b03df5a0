"""A transformer becomes a teacher: out-of-fold answers, resumed after a kill, never part of the saved model."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from teaching.taught_corpus import WORDS, Corpus, make_rows
from textlstm.cli import main
from textlstm.teaching import fine_tuning

transformers = pytest.importorskip("transformers", reason="needs the extra `teacher`")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a BERT of two thin layers, with random weights and a vocabulary of these tests."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "number", *(w for words in WORDS.values() for w in words)]
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    folder = tmp_path_factory.mktemp("tiny-bert")
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=32
    )
    fast.save_pretrained(folder)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.BertConfig(vocab_size=len(words), max_position_embeddings=32, **sizes)
    transformers.BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return Corpus(tmp_path)


def taught_by(folder: Path, *settings: str) -> tuple[str, ...]:
    return (f"teacher=hf:{folder}", "data.unlabelled=AT/unlabelled.jsonl", "training.teacher_epochs=20", *settings)


@pytest.fixture(autouse=True)
def fast_learner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights need larger steps than pretrained ones."""
    monkeypatch.setattr("textlstm.teaching.transformer.PEAK_LEARNING_RATE", 5e-3)


def test_a_transformer_teaches_and_is_asked_once(
    corpus: Corpus, tiny: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = corpus.weights(*taught_by(tiny))
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("teacher: ")]
    assert len(lines) == 2, lines
    words = lines[0].split()
    assert words[:3] == ["teacher:", "right", "in"]
    assert words[4:11] == ["of", "the", "training", "rows,", "out", "of", "fold,"]
    assert float(words[3]) > 0.9
    assert lines[1].startswith("teacher: 60 unlabelled rows answered in ")
    assert lines[1].endswith("hours a million rows")
    # A second training of the same rows finds every answer: the transformer is neither loaded nor asked.
    monkeypatch.setattr("textlstm.teaching.transformer.Transformer.load", None)
    monkeypatch.setattr("textlstm.teaching.transformer.Transformer.fine_tune", None)
    again = corpus.weights(*taught_by(tiny))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    # Nothing of the transformer is in the model.
    assert {name.split(".")[0] for name in first} == {"network", "expert", "baseline", "gate"}


@pytest.mark.long
def test_answers_for_training_rows_are_out_of_fold(corpus: Corpus, tiny: Path) -> None:
    """Labels that say nothing about the texts are answered by chance, however well they are remembered."""
    random = np.random.default_rng(0)
    for number, row in enumerate(corpus.train):
        row["label"] = random.choice(list(WORDS))
        row["text"] = f"{row['text']} {['goal', 'bank', 'actor'][number % 3]}"
    assert corpus.run(*taught_by(tiny)) == 0
    [folder] = (corpus.folder / "prepared" / "teachers").glob("[0-9a-f]*")
    stored = [load_file(path)["chances"] for path in sorted(folder.glob("fold-*.safetensors"))]
    assert [chances.shape[1] for chances in stored] == [3, 3, 3]
    assert sum(map(len, stored)) == 81


@pytest.mark.long
def test_a_killed_teacher_goes_on_where_it_was(corpus: Corpus, tiny: Path, tmp_path: Path) -> None:
    corpus.further = make_rows(1500, seed=6)
    corpus.unlabelled = [{"text": row["text"]} for row in corpus.further]
    reference = Corpus(tmp_path / "reference") if (tmp_path / "reference").mkdir() is None else None
    assert reference is not None
    reference.unlabelled = corpus.unlabelled
    whole = reference.weights(*taught_by(tiny))
    # The same in a process that is killed as soon as the first block of answers lies there.
    program = (
        "import sys, textlstm.teaching.transformer as t\n"
        "t.PEAK_LEARNING_RATE = 5e-3\n"
        "from textlstm.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    commands: list[list[str]] = []

    def remember(arguments: list[str]) -> int:
        commands.append(arguments)
        return 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("teaching.taught_corpus.main", remember)
        corpus.run(*taught_by(tiny))
    child = subprocess.Popen([sys.executable, "-c", program, *commands[0]], env=os.environ | {"OMP_NUM_THREADS": "1"})
    teachers = corpus.folder / "prepared" / "teachers"
    deadline = time.monotonic() + 300
    while not list(teachers.glob("*/rows-*/000000000.safetensors")) and child.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL, "the training ended before it could be killed"
    before = {path: path.stat().st_mtime_ns for path in teachers.rglob("*") if path.is_file()}
    # Going on leaves every file of before as it was, and gives the answers of the run that nobody killed.
    asked: list[int] = []
    original = fine_tuning._Work._stored

    def counting(self: fine_tuning._Work, name: str, answer: object) -> object:
        asked.append(not (self.directory / name).exists())
        return original(self, name, answer)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fine_tuning._Work, "_stored", counting)
        continued = corpus.weights(*taught_by(tiny))
    assert sum(asked) < len(asked)
    assert {path: path.stat().st_mtime_ns for path in before if path.exists()} == before
    assert all(np.array_equal(whole[name], continued[name]) for name in whole)


@pytest.mark.parametrize("case", ["nothing", "no weights"])
def test_a_folder_without_a_transformer_is_one_line(
    corpus: Corpus, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    if case == "no weights":
        for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
            (folder / name).write_bytes((tiny / name).read_bytes())
    assert corpus.run(*taught_by(folder)) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("textlstm: ")]
    assert len(lines) == 1
    assert lines[0].startswith(f"textlstm: teacher=hf:{folder}: cannot be loaded: ")


@pytest.mark.long
def test_labelling_imports_no_transformers(corpus: Corpus, tiny: Path) -> None:
    assert corpus.run(*taught_by(tiny)) == 0
    (corpus.folder / "in.jsonl").write_text(json.dumps({"text": "goal match"}))
    program = (
        "import sys\n"
        "from textlstm.cli import main\n"
        "code = main(sys.argv[1:])\n"
        "print(code, 'transformers' in sys.modules)\n"
    )
    command = ["label", f"model_dir={corpus.folder / 'model'}", f"input={corpus.folder / 'in.jsonl'}"]
    command += [f"output={corpus.folder / 'out.jsonl'}", "tracking.enabled=false", "labelling.num_workers=1"]
    done = subprocess.run([sys.executable, "-c", program, *command], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 False"
    assert main(["info", f"model_dir={corpus.folder / 'model'}"]) == 0
