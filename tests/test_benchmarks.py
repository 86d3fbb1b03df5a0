"""The harness of the benchmarks: it measures what a process took, stops one that takes too long, and counts right rows."""

import json
import sys
from pathlib import Path
from types import ModuleType

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
