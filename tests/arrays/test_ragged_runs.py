from hypothesis import given
from hypothesis import strategies as st

from textlstm.text.tokenizer.word_tokenizer import cut_long_runs


def test_long_run_is_cut_into_pieces():
    assert cut_long_runs("abcdefg hi", max_run=3) == "abc def g hi"


def test_run_of_exactly_the_limit_stays():
    assert cut_long_runs("abc abc\tabc", max_run=3) == "abc abc\tabc"


def test_white_space_may_be_as_long_as_it_likes():
    assert cut_long_runs("a" + " " * 50 + "b", max_run=3) == "a" + " " * 50 + "b"


@given(st.text(alphabet="ab \n", max_size=60), st.integers(min_value=1, max_value=8))
def test_cutting_only_adds_spaces_and_leaves_no_long_run(text, max_run):
    cut = cut_long_runs(text, max_run=max_run)
    assert max(map(len, cut.split()), default=0) <= max_run
    assert "".join(cut.split()) == "".join(text.split())
    assert cut_long_runs(cut, max_run=max_run) == cut
