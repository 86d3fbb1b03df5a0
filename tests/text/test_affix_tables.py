import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textlstm.text.affix_tables import AffixTable

PREFIXES = r"^\(|^(?:US|C)\$|^[0-9]+(?=x)|^\w?%|^b*c|^(?!ab)a|^[^a-c]z"
SUFFIXES = r"(?<=[0-9])km$|\.\.+$|,$|(?:a|b)?\)$|[0-9]x*$|\.(?i:U)$|(?<=k)$"
TEXTS = st.text(alphabet="abckmxzUS0(),.$%\n", max_size=8)


def _tables():
    first = AffixTable(re.compile(PREFIXES), at_end=False, search_of=lambda part, _: part.match)
    last = AffixTable(re.compile(SUFFIXES), at_end=True, search_of=lambda part, _: part.search)
    return first, last


FIRST, LAST = _tables()


def _span(match):
    return None if match is None else match.span()


@settings(max_examples=500)
@given(TEXTS)
def test_a_table_finds_what_the_pattern_finds(text):
    for table, whole, character in (
        (FIRST, re.compile(PREFIXES).match, text[:1]),
        (LAST, re.compile(SUFFIXES).search, text[-1:]),
    ):
        find = table[character]
        assert _span(find(text) if find is not None else None) == _span(whole(text))


def test_alternatives_that_cannot_fit_a_character_are_left_out():
    table = AffixTable(re.compile(r"^\(|^[0-9]+\.|^US"), at_end=False, search_of=lambda part, _: part.match)
    assert table["x"] is None
    assert table["7"]("7.") is not None
    assert table["7"]("(") is None, "the alternative of the bracket is not in this search"


def test_a_line_break_or_nothing_at_the_end_leaves_all_alternatives():
    table = AffixTable(re.compile(r"a$|b$"), at_end=True, search_of=lambda part, _: part.search)
    assert table["\n"]("a\n") is not None
    assert table["\n"]("b\n") is not None
    assert table[""]("") is None


@pytest.mark.parametrize("pattern", [r"^a", r"^a+|b", r"^(?:a|b)c"])
def test_patterns_that_are_no_list_of_alternatives_are_searched_whole(pattern):
    table = AffixTable(re.compile(pattern), at_end=False, search_of=lambda part, _: part.match)
    for text in ("a", "ac", "bc", "c"):
        find = table[text[0]]
        assert _span(find(text) if find is not None else None) == _span(re.compile(pattern).match(text))
