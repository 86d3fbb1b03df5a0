"""Labels that are refused or warned about, with the whole message. Numbers are those of docs/bad-input.md."""

import pytest

from textlstm.config import DataConfig, DataSource, RareLabel
from textlstm.corpus.preparation.label_checks import LabelReport, check_labels


def data(**settings: object) -> DataConfig:
    return DataConfig(source=DataSource.files, train=["x.csv"], **settings)  # type: ignore[arg-type]


def problems(counts: dict[str, int], **settings: object) -> tuple[str, ...]:
    return check_labels(counts, data(**settings)).problems


def test_sound_labels_pass() -> None:
    counts = {"pos": 2, "neg": 3, "a/b": 2, "[x]": 2, "../": 2, "None": 2, "NA": 2, "true": 2, "naïve": 2, "非常": 2}
    assert check_labels(counts, data()) == LabelReport()


def test_42_numbers_written_in_several_ways_are_a_warning() -> None:
    report = check_labels({"1": 5, "1.0": 3, "01": 2, "2": 4, "1e0": 2, "one": 2}, data())
    assert report.problems == ()
    assert report.warnings == (
        "train: the labels '01' (2 rows) and '1' (5 rows) and '1.0' (3 rows) and '1e0' (2 rows) are the same number "
        "but count as different classes.",
    )


@pytest.mark.parametrize("odd", ["pos ", " pos", "pos\xa0", "\u200bpos", "pos\ufeff"])
def test_44_outer_space_lists_the_look_alikes(odd: str) -> None:
    first, second = sorted(["pos", odd])
    rows = {"pos": 10, odd: 2}
    assert problems({"pos": 10, odd: 2, "neg": 5}) == (
        f"train: labels look alike: {first!r} ({rows[first]} rows) and {second!r} ({rows[second]} rows) "
        "differ in outer space or invisible characters. Make them one.",
    )


def test_44_outer_space_without_a_twin_is_refused_too() -> None:
    assert problems({"pos ": 10, "neg": 5}) == (
        "train: the label 'pos ' has space or invisible characters at its ends. Strip it.",
    )


def test_45_unicode_forms_and_case() -> None:
    assert problems({"caf\u00e9": 4, "cafe\u0301": 3, "Sport": 2, "sport": 9, "\ufb01lm": 2, "film": 2}) == (
        "train: labels look alike: 'Sport' (2 rows) and 'sport' (9 rows) differ in upper and lower case. "
        "Make them one.",
        "train: labels look alike: 'cafe\u0301' (3 rows) and 'caf\u00e9' (4 rows) differ in Unicode form (NFC, NFD). "
        "Make them one.",
        "train: labels look alike: 'film' (2 rows) and '\ufb01lm' (2 rows) differ in case, space or Unicode form. "
        "Make them one.",
    )


def test_46_long_labels_and_control_characters() -> None:
    assert problems({"x" * 257: 2, "y" * 256: 2, "a\tb": 2, "a\x1b[31m": 2}) == (
        "train: the label 'a\\tb' has control characters. Remove them.",
        "train: the label 'a\\x1b[31m' has control characters. Remove them.",
        "train: the label 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'... has 257 characters; at most 256 are allowed. "
        "Is the label column the right one?",
    )


def test_48_too_many_classes() -> None:
    counts = {f"class {number}": 2 for number in range(10_001)}
    assert problems(counts) == (
        "train: 10,001 classes; data.max_classes=10,000 are allowed. "
        "Is the label column the right one? Set data.label_column, or raise data.max_classes.",
    )
    assert problems(counts, max_classes=10_001) == ()


def test_49_a_single_class() -> None:
    assert problems({"pos": 10}) == ("train: all rows have the same label; there must be at least two classes.",)
    assert problems({"pos": 10}, labels_column="labels") == ()


def test_50_classes_with_one_row() -> None:
    counts = {"pos": 10, "neg": 5, "odd": 1, "even": 1}
    assert problems(counts) == (
        "train: classes 'even', 'odd' have one row only; a class needs two. "
        "Add rows or set data.rare_label=drop or data.rare_label=keep.",
    )
    assert problems({"pos": 10, "neg": 5, "odd": 1}) == (
        "train: class 'odd' has one row only; a class needs two. "
        "Add rows or set data.rare_label=drop or data.rare_label=keep.",
    )
    dropped = check_labels(counts, data(rare_label=RareLabel.drop))
    assert dropped == LabelReport(
        (),
        ("train: classes 'even', 'odd' with one row only dropped (data.rare_label=drop).",),
        frozenset({"odd", "even"}),
    )
    kept = check_labels(counts, data(rare_label=RareLabel.keep))
    assert kept == LabelReport((), ("train: classes 'even', 'odd' with one row only kept (data.rare_label=keep).",))


def test_50_dropping_rare_classes_must_leave_two() -> None:
    report = check_labels({"pos": 10, "odd": 1}, data(rare_label=RareLabel.drop))
    assert report.problems == ("train: all rows have the same label; there must be at least two classes.",)


def test_53_data_of_one_row() -> None:
    assert problems({"pos": 1}) == ("train: has one row only; there is nothing to learn from.",)


def test_all_problems_are_reported_together() -> None:
    assert problems({"pos": 10, "Pos": 1, "a\nb": 1}) == (
        "train: the label 'a\\nb' has control characters. Remove them.",
        "train: labels look alike: 'Pos' (1 row) and 'pos' (10 rows) differ in upper and lower case. Make them one.",
        "train: classes 'Pos', 'a\\nb' have one row only; a class needs two. "
        "Add rows or set data.rare_label=drop or data.rare_label=keep.",
    )
