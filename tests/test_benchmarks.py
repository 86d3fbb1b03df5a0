"""The programs of the benchmarks: what a process took, who had which rows right, where a page is written."""

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture(autouse=True)
def on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))


@pytest.fixture
def processes() -> ModuleType:
    import processes

    return processes


def test_memory_and_processor_time_of_children_count(processes: ModuleType, tmp_path: Path) -> None:
    child = "import time; block = bytearray(80_000_000); end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    parent = f"import subprocess, sys; print('hello'); subprocess.run([sys.executable, '-c', {child!r}])"
    done = processes.run([sys.executable, "-c", parent], limit_seconds=30, work=tmp_path)
    assert (done.exit_code, done.timed_out, done.output.strip()) == (0, False, "hello")
    assert done.megabytes > 80
    assert done.cpu_seconds >= 0.3
    assert done.seconds >= 0.3


def test_a_process_over_its_limit_is_stopped(processes: ModuleType, tmp_path: Path) -> None:
    done = processes.run([sys.executable, "-c", "import time; time.sleep(60)"], limit_seconds=0.5, work=tmp_path)
    assert done.timed_out
    assert done.exit_code != 0
    assert done.seconds < 30


def labelled(folder: Path, found: list[str]) -> Path:
    path = folder / "out.jsonl"
    path.write_text("".join(json.dumps({"predicted_label": label}) + "\n" for label in found), encoding="utf-8")
    return path


def test_scores_count_rows_and_labels(tmp_path: Path) -> None:
    from peer_rows import score

    gold = tmp_path / "test.jsonl"
    gold.write_text("".join(json.dumps({"text": "x", "label": label}) + "\n" for label in "aaab"), encoding="utf-8")
    scored = score(gold, labelled(tmp_path, ["a", "a", "b", "b"]))
    assert scored.accuracy == 0.75
    assert scored.macro_f1 == pytest.approx((0.8 + 2 / 3) / 2)
    assert scored.accuracy_interval[0] < 0.75 < scored.accuracy_interval[1]
    with pytest.raises(ValueError, match="3 rows for 4"):
        score(gold, labelled(tmp_path, ["a", "a", "b"]))


def test_unusual_line_breaks_within_a_text_are_no_new_row(tmp_path: Path) -> None:
    from peer_rows import score

    gold, found = tmp_path / "test.jsonl", tmp_path / "found.jsonl"
    gold.write_text('{"text": "a\x85b\u2028c", "label": "x"}\n', encoding="utf-8")
    found.write_text('{"text": "a\x85b\u2028c", "predicted_label": "x"}\n', encoding="utf-8")
    assert score(gold, found).accuracy == 1


def test_slow_systems_are_not_repeated_nor_tried_on_larger_corpora(monkeypatch: pytest.MonkeyPatch) -> None:
    import peers
    from peer_rows import Rows

    measured = []

    def measure(system: peers.System, rows: Rows, figures: peers.Figures, *, seconds: float) -> None:
        measured.append((rows.name, system.name))
        figures.problem = "training stopped after 9 s" if system.name == "late" else ""

    monkeypatch.setattr(peers, "measure", measure)
    systems = [peers.System(name, f"{name}.py") for name in ("quick", "late")]
    small, large = (Rows(name, Path(), Path(), 1, 1) for name in ("small", "large"))
    peers.measure_corpus(small, systems, rounds=2, seconds=9)
    assert measured == [("small", "quick"), ("small", "late"), ("small", "quick")]
    figures = peers.measure_corpus(large, systems, rounds=2, seconds=9, repeat_below=0, stopped={"late": "small"})
    assert measured[3:] == [("large", "quick")]  # once
    assert figures["late"].problem == "not tried: training stopped after 9 s on small, which is smaller"


def test_parts_that_ended_well_are_kept_and_others_say_how_they_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import bench

    program = tmp_path / "part.py"
    program.write_text("import sys; print('figures'); sys.exit(int(sys.argv[1]))", encoding="utf-8")
    monkeypatch.setattr(bench, "HERE", tmp_path)
    broken, sound = (bench.Part("Title", "part.py", (code,), (code,), "about") for code in "30")
    assert "figures" in (printed := bench.measure(broken, tmp_path, is_short=True).printed)
    assert printed.endswith("(`part.py` ended with exit code 3)")
    measured = bench.measure(sound, tmp_path, is_short=True)
    assert measured.printed == "```text\nfigures\n```"
    assert bench.measure(broken, tmp_path, is_short=True) == measured  # not run again


def test_reason_of_a_peer_that_is_left_out_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import peer_environments

    monkeypatch.setattr(peer_environments, "FOLDER", tmp_path)
    assert peer_environments.left_out("flair") == "not installed; run make bench-peers"
    (tmp_path / "flair").mkdir()
    assert peer_environments.left_out("flair") == ""
    (tmp_path / "flair" / "left_out.txt").write_text("import: no such thing\n", encoding="utf-8")
    assert peer_environments.left_out("flair") == "import: no such thing"
    assert (
        peer_environments.failure([sys.executable, "-c", "raise SystemExit('last words')"], seconds=20) == "last words"
    )
    assert peer_environments.failure([sys.executable, "-c", ""], seconds=20) == ""


def test_tables_say_who_is_ahead_and_who_was_stopped(processes: ModuleType) -> None:
    from peer_rows import Rows, Scored
    from peers import Figures, table

    def figures(seconds: float, accuracy: float) -> Figures:
        run = processes.Measured(seconds, seconds, 100.0, 0, False, "")
        scored = Scored(accuracy, (accuracy - 0.1, accuracy + 0.1), accuracy, (0.0, 1.0))
        return Figures([run], [run], [run], [seconds], [seconds], 1.0, scored)

    page = table(
        Rows("toy", Path("train"), Path("test"), 10, 5),
        {
            "textlstm": figures(10, 0.8),
            "slow": figures(25, 0.7),
            "fast": figures(5, 0.7),
            "late": Figures(problem="training stopped after 9 s"),
        },
        seconds=9,
    )
    assert "| slow | 70.0 [60.0, 80.0] | 70.0 [0.0, 100.0] | 25.0 | 2.50 |" in page
    assert "| late | training stopped after 9 s |" in page
    assert page.splitlines()[-4:] == [
        "- accuracy: no peer is ahead of textlstm.",
        "- training: ahead of textlstm: fast.",
        "- labelling: ahead of textlstm: fast.",
        "- one row: ahead of textlstm: fast.",
    ]


def test_every_part_of_the_page_is_a_program_that_takes_its_arguments() -> None:
    from bench import PARTS

    for part in PARTS:
        program = (FOLDER / part.program).read_text(encoding="utf-8")
        for argument in (*part.whole, *part.short):
            assert not argument.startswith("--") or f'"{argument}"' in program, f"{part.program} {argument}"


def test_a_page_is_written_between_its_marks_and_nowhere_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from experiments import publish

    page = tmp_path / "page.md"
    page.write_text("before\n<!-- table -->\nold\n<!-- end of table -->\nafter\n", encoding="utf-8")
    for _ in range(2):
        publish("| new |", str(page), section="table")
    assert page.read_text(encoding="utf-8") == ("before\n<!-- table -->\n\n| new |\n\n<!-- end of table -->\nafter\n")
    assert capsys.readouterr().out == "| new |\n| new |\n"
    with pytest.raises(SystemExit, match="no lines <!-- other --> and <!-- end of other --> to write between"):
        publish("| new |", str(page), section="other")


def test_differences_of_rows_have_an_interval() -> None:
    from experiments import paired_difference

    rows = np.array([1.0] * 60 + [0.0] * 930 + [-1.0] * 10)
    difference = paired_difference(rows)
    assert difference.mean == pytest.approx(0.05)
    assert difference.low == pytest.approx(0.05 - 1.96 * rows.std() / 1000**0.5, abs=0.001)
    assert difference.is_beyond_chance
    assert difference.in_points().startswith("**+5.00 [+3.")
    assert paired_difference(np.zeros(10)).in_points() == "+0.00 [+0.00, +0.00]"


def test_corpora_that_are_not_there_are_skipped_aloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from experiments import found_corpora

    (tmp_path / "r8").mkdir()
    (tmp_path / "r8" / "train.jsonl.gz").touch()
    monkeypatch.setenv("TEXTLSTM_CORPORA", str(tmp_path))
    found = list(found_corpora(["r8", "mr", "bbc"]))
    assert found == [
        ("r8", ["data=files", "data.drop_leaked=true", f"data.train={tmp_path / 'r8' / 'train.jsonl.gz'}"]),
        ("bbc", []),
    ]
    assert capsys.readouterr().err == "mr: skipped, its files are not under TEXTLSTM_CORPORA\n"


def test_calibration_reads_validation_rows_as_the_gate_did(tmp_path: Path) -> None:
    """The saved expert has seen the validation rows; the figures must not come from it."""
    from calibration import before_refit
    from textlstm.cli.settings import compose_config
    from textlstm.config import TrainConfig
    from textlstm.fitting import fit_classifier
    from textlstm.inference.classifier import TextClassifier
    from textlstm.inference.scoring import score_split
    from textlstm.stages.prepare import prepared

    words = {"sport": ("goal", "match", "coach"), "money": ("bank", "share", "profit")}
    dice = np.random.default_rng(1)
    rows = [(" ".join(dice.choice([*words[label], "a", "the", "said"], 4)), label) for label in [*words] * 60]
    (tmp_path / "rows.csv").write_text(
        "text,label\n" + "".join(f"{text} {n},{y}\n" for n, (text, y) in enumerate(rows))
    )
    settings = [
        "data=files",
        f"data.train={tmp_path / 'rows.csv'}",
        f"prepared_dir={tmp_path / 'prepared'}",
        "text=fast",
    ]
    settings += ["num_workers=1", "model.hidden_size=4", "model.embedding_size=4"]
    settings += ["training.epochs=1", "training.num_threads=1", "training.precision=fp32"]
    config = compose_config("train", TrainConfig, settings)
    corpus = prepared(config)
    fitted = fit_classifier(corpus, config)
    assert corpus.validation is not None
    as_fitted = score_split(TextClassifier(before_refit(fitted.saved_model, corpus, config)), corpus.validation)
    as_saved = score_split(TextClassifier(fitted.saved_model), corpus.validation)
    assert as_fitted.probabilities == pytest.approx(fitted.validation_probabilities, abs=1e-5)
    assert np.abs(as_saved.probabilities - fitted.validation_probabilities).max() > 0.01  # negative control


def test_made_rows_begin_alike_and_bring_new_words_ever_more_slowly(tmp_path: Path) -> None:
    import gzip

    import scale

    source = tmp_path / "train.jsonl.gz"
    with gzip.open(source, "wt", encoding="utf-8") as file:
        for number in range(50):
            file.write(
                json.dumps({"text": f"a film of number {number % 7} says hello", "label": "ab"[number % 2]}) + "\n"
            )
    rows = list(scale.made_rows(source, 2000))
    assert list(scale.made_rows(source, 500)) == rows[:500]
    seen: list[int] = []
    words: set[str] = set()
    for row in rows:
        words.update(row.text.split())
        seen.append(len(words))
    first, second = seen[999] - seen[499], seen[1999] - seen[999]
    # Heaps' law with the exponent 1/2: twice as many rows bring 1.4 times the new words, not twice as many.
    assert 1.2 < second / first < 1.7
    for suffix in (".jsonl", ".csv", ".parquet"):
        scale.write_rows(rows[:3], tmp_path / f"rows{suffix}")
        assert (tmp_path / f"rows{suffix}").stat().st_size > 100
