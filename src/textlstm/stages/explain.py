"""`textlstm explain`: one page that shows why a saved model decided as it did."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from textlstm.config import ExplainConfig
from textlstm.corpus.rows.inputs import expand_inputs
from textlstm.corpus.rows.readers import read_records
from textlstm.corpus.rows.records import Record, Reject
from textlstm.corpus.rows.settings import ColumnNames, ReadSettings
from textlstm.corpus.sources.examples import Example, ExampleReader
from textlstm.errors import InputError
from textlstm.evaluation.report import ClassWords, WordWeight
from textlstm.evaluation.scored_rows import ScoredRows
from textlstm.figure_text import counted
from textlstm.processes.devices import refuse_missing_gpu
from textlstm.saved_model import Columns
from textlstm.stages.screen import note, say, table
from textlstm.storage.endings import refuse_other_formats
from textlstm.storage.files import atomic_file, is_same_file, output_file
from textlstm.tracking.registry import resolve_model_dir

if TYPE_CHECKING:
    from textlstm.explain.explanation import Explanation
    from textlstm.explain.faithfulness import Faithfulness
    from textlstm.explain.summary import CorpusView, Counted
    from textlstm.inference.classifier import TextClassifier


def explain(config: ExplainConfig) -> None:
    """Explain `config.explain.text`, or the first texts of `config.input`, and write the page `config.output`.

    Raises:
        InputError: no text was given, or the page exists and overwrite is false.
    """
    from textlstm.explain.page import METHOD_NAMES
    from textlstm.inference.classifier import TextClassifier

    # Refuse a wrong call before a model is loaded.
    refuse_missing_gpu(device=config.device)
    output = output_file(Path(config.output))
    if not config.explain.text and not config.input:
        raise InputError('no text to explain; set explain.text="..." or input=FILE')
    if output.exists() and not config.overwrite:
        raise InputError(f"{output}: exists; set overwrite=true to replace it, or another output")
    refuse_other_formats(config.output, written="an HTML page", endings=(".html", ".htm", ".xhtml"))
    # A file whose name tells no format may be an input, too.
    paths = [] if config.explain.text else expand_inputs(config.input)
    if any(is_same_file(output, path) for path in paths):
        raise InputError(f"{config.output}: is the input itself; choose another output")
    # Load the model, then read the texts: the name of their column is saved with the model.
    model_dir = resolve_model_dir(config.model_dir, config.tracking)
    classifier = TextClassifier.load(model_dir, device=config.device)
    rows = [ExplainedText(config.explain.text)]
    if not config.explain.text:
        rows = read_texts(config, paths, classifier.saved_model.columns)
    texts = [row.text for row in rows]
    page, found = explanation_page(
        classifier,
        rows,
        title=f"Why {model_dir.name} decided",
        num_shown=config.explain.max_texts,
        faithfulness=config.explain.faithfulness and len(texts) > 1,
    )
    # The page appears under its name only when it is whole: a kill here leaves no half page.
    output.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(output) as stream:
        stream.write(page)
    if found:
        table(
            f"Faithfulness on {found[0].num_texts} texts: area under the deletion curve, random less the method",
            ("method", "area", "random", "margin", "95 % interval"),
            [
                (
                    METHOD_NAMES[entry.method],
                    f"{entry.area:.3f}",
                    f"{entry.random_area:.3f}",
                    f"{entry.margin:+.3f}",
                    f"{entry.low:+.3f} to {entry.high:+.3f}",
                )
                for entry in found
            ],
        )
    num_shown = min(len(texts), config.explain.max_texts)
    say(f"{output}: {counted(num_shown, 'text')} explained, {len(page) / 1e6:.1f} MB")


class ExplainedText(NamedTuple):
    """A text to explain and where it is from."""

    text: str
    row_id: str = ""
    labels: tuple[str, ...] = ()
    """What is true of the row, where its file says so."""


def explanation_page(
    classifier: "TextClassifier", rows: Sequence[ExplainedText], *, title: str, num_shown: int, faithfulness: bool
) -> tuple[bytes, "list[Faithfulness]"]:
    """Return the page about `rows`, of which the first `num_shown` are shown one by one, and the deletion curves."""
    from textlstm.explain.attribution import Method
    from textlstm.explain.explanation import explain_texts
    from textlstm.explain.faithfulness import judge
    from textlstm.explain.summary import view_corpus

    explanations = explain_texts(classifier, [row.text for row in rows])
    found = judge(classifier, explanations) if faithfulness else []
    view = view_corpus(explanations, Method.combined)
    origins = [(row.row_id, row.labels) for row in rows[:num_shown]]
    page = page_of(classifier, explanations[:num_shown], view, title=title, faithfulness=found, origins=origins)
    return page, found


class ExplainedRows(NamedTuple):
    """What an evaluation shows of the reasons behind decisions."""

    page: bytes
    """The least and the most certain texts, one by one."""
    class_words: tuple[ClassWords, ...]


def explain_rows(classifier: "TextClassifier", rows: ScoredRows, *, num_texts: int, title: str) -> ExplainedRows | None:
    """Return the page and words of at most `num_texts` of the scored rows; None where no row has a token."""
    from textlstm.explain.attribution import Method
    from textlstm.explain.explanation import explain_texts
    from textlstm.explain.faithfulness import judge
    from textlstm.explain.summary import choose_texts, view_corpus

    lengths = np.zeros(rows.num_rows, np.int64) if rows.num_tokens is None else rows.num_tokens
    # The certainty (N,) of a row is the probability of its best label.
    chosen = choose_texts(rows.probabilities.max(axis=1), lengths, num_texts=num_texts)
    if not chosen:
        return None
    explanations = explain_texts(classifier, [rows.texts[row] for row in chosen])
    found = judge(classifier, explanations)
    view = view_corpus(explanations, Method.combined)
    words = tuple(
        ClassWords(entry.label, entry.num_texts, _weights(entry.words), _weights(entry.pos)) for entry in view.classes
    )
    # All chosen texts count for the view and the curves, but only a third of them are shown one by one.
    shown = explanations[: max(1, num_texts // 3)]
    origins = [(rows.ids[row], rows.label_names(row)) for row in chosen[: len(shown)]]
    page = page_of(classifier, shown, view, title=title, faithfulness=found, origins=origins)
    return ExplainedRows(page, words)


def _weights(counted: "Sequence[Counted]") -> tuple[WordWeight, ...]:
    return tuple(WordWeight(entry.name, entry.num_occurrences, entry.total) for entry in counted)


def page_of(
    classifier: "TextClassifier",
    shown: "Sequence[Explanation]",
    view: "CorpusView",
    *,
    title: str,
    faithfulness: "Sequence[Faithfulness]",
    origins: Sequence[tuple[str, tuple[str, ...]]] = (),
) -> bytes:
    """Return the page that shows the explanations `shown` one by one, and a view over all of them.

    `origins` holds row id and true labels of each shown text; empty where the texts come from no rows.
    """
    from textlstm.explain.page import Origin, render_page

    model = classifier.saved_model.model
    ways = "both ways" if model.bidirectional else "one way"
    details = {
        "Network": f"{model.num_layers}-layer {model.encoder.value} of {model.hidden_size} units, {ways}, "
        f"{model.pooling.value} pooling",
        "Classes": str(len(classifier.labels)),
        "Texts": f"{view.num_texts}, of which {len(shown)} are shown one by one",
    }
    if len(classifier.networks) > 1:
        details["Networks"] = f"{len(classifier.networks)}; gates and gradients are those of the first"
    return render_page(
        shown,
        labels=classifier.labels,
        title=title,
        details=details,
        corpus=view,
        faithfulness=faithfulness,
        origins=[Origin(*origin) for origin in origins],
    )


def read_texts(config: ExplainConfig, paths: Sequence[Path], saved: Columns) -> list[ExplainedText]:
    """Return the first texts of the input files `paths`, as many as the page and its views need, with ids and labels.

    A row has the id of the column that the model was trained with, else its number; its label, where that column is
    there and holds one text.

    Raises:
        InputError: a file lacks the text column, or no row has a text.
    """
    wanted = config.explain.max_texts
    if config.explain.faithfulness:
        wanted = max(wanted, config.explain.sample_texts)
    columns = ColumnNames(text=config.explain.text_column or saved.text, label="")
    settings = replace(ReadSettings(), columns=columns, key_prefix="explain")
    texts: list[ExplainedText] = []
    num_rejected = 0
    # Read the files in order and stop at the last text that is wanted, without reading the rest of its file.
    for path in paths:
        check = ExampleReader(settings)
        for row in read_records(path, settings):
            found = check(row) if isinstance(row, Record) else row
            if isinstance(found, Reject):
                num_rejected += 1
            else:
                texts.append(_explained_text(found, saved))
            if len(texts) == wanted:
                break
        if len(texts) == wanted:
            break
    if num_rejected:
        note(f"warning: {num_rejected} rows without a usable text were passed over")
    if not texts:
        raise InputError(f"{', '.join(config.input)}: no row has a text to explain")
    return texts


def _explained_text(found: Example, saved: Columns) -> ExplainedText:
    fields = found.record.fields
    label, row_id = fields.get(saved.label), fields.get(saved.id) if saved.id else None
    return ExplainedText(
        found.text,
        str(row_id) if isinstance(row_id, str | int) and str(row_id) else str(found.record.number),
        (label,) if isinstance(label, str) and label else (),
    )
