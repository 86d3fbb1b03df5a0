import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textlstm.text.ascii_patterns import ascii_pattern

PATTERNS = [
    r"(?<=[0-9é])[+\-é](?=[0-9à-])|…|\.\.+",
    r"(?<=[a-zÀ-Öα-ω])(?:-|–|--|~)(?=[a-zα-ω])",
    r"(?<=ab)[,-]|x(?=é|y)|(?:é|a)+b",
    r"(?:é)?a|[^a-é]b|(?!é)c",
    r"é*?-|(?<!é)\.|[é-ü]{0,2}:|(a|é)-\1",
    r"(?i:é|a)b|(?<=[\wé])!",
]


@pytest.mark.parametrize("pattern", PATTERNS)
@given(text=st.text(alphabet="ab-+.,:~!xyc09 \n", max_size=12))
def test_the_same_is_found_in_ascii_texts(pattern, text):
    original = re.compile(pattern)
    found = [match.span() for match in ascii_pattern(original).finditer(text)]
    assert found == [match.span() for match in original.finditer(text)]


def test_what_is_not_ascii_is_left_out():
    assert ascii_pattern(re.compile(r"é|(?<=[a-zà-ü])-")).findall("é a- é-") == ["-"]
    assert ascii_pattern(re.compile("[à-ü]b|-")).findall("éb-") == ["-"]


@pytest.mark.parametrize("pattern", [re.compile("é|…"), re.compile("a|é", re.IGNORECASE)])
def test_a_pattern_without_ascii_or_with_flags_stays(pattern):
    assert ascii_pattern(pattern) is pattern
