"""Unlabelled rows and the answers of a teacher: what is left out, what is refused, and who learns from it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from teaching.taught_corpus import Corpus
from textlstm.corpus.preparation.unlabelled import letters_of
from textlstm.inference.classifier import TextClassifier
from textlstm.model_folder import load_saved_model


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return Corpus(tmp_path)


def changed_parts(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> set[str]:
    return {name.split(".")[0] for name in first if not np.array_equal(first[name], second[name])}


TAUGHT = ("teacher=AT/answers.jsonl", "data.unlabelled=AT/unlabelled.jsonl")


def test_letters_and_digits_make_a_text() -> None:
    assert letters_of("It's a FINE film_2 !") == letters_of("its a fine film 2") == "itsafinefilm2"
    assert letters_of("Straße") == letters_of("STRASSE")
    assert letters_of("?!") == "?!"


def test_networks_learn_from_the_answers(corpus: Corpus, capsys: pytest.CaptureFixture[str]) -> None:
    plain = corpus.weights()
    capsys.readouterr()
    taught = corpus.weights(*TAUGHT)
    err = capsys.readouterr().err
    assert "unlabelled: 60 rows\n" in err
    assert "teacher: has the label of 1.0000 of the training rows\n" in err
    # The expert and the baseline learn from labels, as before.
    assert changed_parts(plain, taught) == {"network", "gate"}
    # Words that only unlabelled rows have are in the vocabulary now.
    assert TextClassifier(load_saved_model(corpus.folder / "model")).labels == ("film", "money", "sport")
    assert "6" in load_saved_model(corpus.folder / "model").vocabulary.tokens


@pytest.mark.long
def test_a_teacher_without_a_share_changes_nothing(corpus: Corpus) -> None:
    plain = corpus.weights()
    # Answers for training rows alone; and a teacher who has no part in the targets.
    alone = corpus.weights("teacher=AT/answers.jsonl")
    assert changed_parts(plain, alone) == {"network", "gate"}
    silent = corpus.weights("teacher=AT/answers.jsonl", "training.teacher_share=0")
    assert all(np.allclose(plain[name], silent[name], atol=1e-4) for name in plain)
    assert not all(np.allclose(plain[name], alone[name], atol=1e-4) for name in plain)


@pytest.mark.long
def test_a_teacher_may_name_labels_or_have_a_column_a_label(corpus: Corpus) -> None:
    by_object = corpus.weights(*TAUGHT)
    corpus.answers = [
        {"text": row["text"], **{f"probability[{label}]": chance for label, chance in row["probabilities"].items()}}
        for row in corpus.answers
    ]
    assert changed_parts(by_object, corpus.weights(*TAUGHT)) == set()
    corpus.answers = [{"text": row["text"], "label": row["label"]} for row in (*corpus.train, *corpus.further)]
    assert changed_parts(by_object, corpus.weights(*TAUGHT)) == {"network", "gate"}


@pytest.mark.long
def test_answers_are_matched_by_id_where_rows_have_one(corpus: Corpus) -> None:
    by_text = corpus.weights(*TAUGHT)
    for number, row in enumerate([*corpus.train, *corpus.unlabelled, *corpus.test]):
        row["key"] = f"row-{number}"
    for number, row in enumerate(corpus.answers):
        row["key"] = f"row-{number}"
        row["text"] = "another text"
    assert changed_parts(by_text, corpus.weights(*TAUGHT, "data.id_column=key")) == set()


@pytest.mark.long
def test_known_texts_are_left_out_by_letters_alone(corpus: Corpus, capsys: pytest.CaptureFixture[str]) -> None:
    before = corpus.weights(*TAUGHT)
    capsys.readouterr()
    for text in (corpus.test[0]["text"].upper(), f"{corpus.test[1]['text']} !!", corpus.train[0]["text"].title()):
        corpus.unlabelled.append({"text": text})
    corpus.unlabelled.append({"text": corpus.further[0]["text"].replace(" ", ", ")})
    # No answers are needed for rows that are left out.
    after = corpus.weights(*TAUGHT)
    assert (
        "unlabelled: 60 rows; left out by letters and digits alone: 2 with a text of validation or test, 1 with a text "
        "of train, 1 with a text that occurs earlier\n"
    ) in capsys.readouterr().err
    assert changed_parts(before, after) == set()


def drop_answers(corpus: Corpus) -> None:
    del corpus.answers[3:5], corpus.answers[-1]


def rename_label(corpus: Corpus) -> None:
    corpus.answers[7]["probabilities"] = {"film": 0.5, "flim": 0.5}


def spoil_numbers(corpus: Corpus) -> None:
    corpus.answers[0]["probabilities"] = {"film": "nan", "money": 1}
    corpus.answers[1]["probabilities"] = {"film": 0.2, "money": 0.2}
    corpus.answers[2]["probabilities"] = {"film": -0.2, "money": 1.2}
    del corpus.answers[4]["probabilities"]


def leave_nothing(corpus: Corpus) -> None:
    corpus.unlabelled = [{"text": row["text"].upper()} for row in corpus.test]


LABELS = "The labels are 'film', 'money', 'sport'."
BAD: dict[str, tuple[Callable[[Corpus], None], str]] = {
    "missing rows": (
        drop_answers,
        "teacher=AT/answers.jsonl: has no answer for 2 of 81 training rows (train.jsonl:4, train.jsonl:5) and 1 of 60 "
        "unlabelled rows (unlabelled.jsonl:60); rows are matched by data.text_column=text. Let the teacher answer for "
        "these rows, or leave them out.",
    ),
    "a wrong label": (
        rename_label,
        f"teacher=AT/answers.jsonl: 1 row with a label that no training row has ('flim'), such as answers.jsonl:8. {LABELS}",
    ),
    "no probabilities": (
        spoil_numbers,
        "teacher=AT/answers.jsonl: 1 row with no object of a number a label, 1 row with probabilities that do not add up "
        "to 1, 1 row with a probability below 0, 1 row with neither probabilities nor a label, such as answers.jsonl:1, "
        f"answers.jsonl:2, answers.jsonl:3. {LABELS}",
    ),
    "no unlabelled row": (
        leave_nothing,
        "data.unlabelled: no row is left: 12 with a text of validation or test, comparing letters and digits alone.",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_nonsense_is_refused_with_one_line(corpus: Corpus, capsys: pytest.CaptureFixture[str], case: str) -> None:
    spoil, message = BAD[case]
    spoil(corpus)
    assert corpus.run(*TAUGHT) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("textlstm: ")]
    assert lines == [f"textlstm: {message.replace('AT/', f'{corpus.folder}/')}"]


def test_settings_that_need_each_other(corpus: Corpus, capsys: pytest.CaptureFixture[str]) -> None:
    assert corpus.run("data.unlabelled=AT/unlabelled.jsonl") == 2
    assert "data.unlabelled needs a teacher that answers for these rows" in capsys.readouterr().err
    assert corpus.run("teacher=AT/none.jsonl") == 2
    assert "none.jsonl" in capsys.readouterr().err
