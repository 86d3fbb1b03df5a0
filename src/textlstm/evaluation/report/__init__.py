"""The report page of an evaluation."""

from textlstm.evaluation.report.inputs import ClassWords, EpochPoint, Link, WordWeight
from textlstm.evaluation.report.page import render_report

__all__ = ["ClassWords", "EpochPoint", "Link", "WordWeight", "render_report"]
