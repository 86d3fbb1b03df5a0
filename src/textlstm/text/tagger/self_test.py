"""A test of the fast tagger before it is used: spaCy must give the same tags for the probe sentences."""

from typing import TYPE_CHECKING

from textlstm.config import Precision
from textlstm.text.tagger.fast_tagger import FastTagger
from textlstm.text.tagger.pos import POS_TAGS
from textlstm.text.tagger.weights import UnknownArchitecture

if TYPE_CHECKING:
    from spacy.language import Language

# Sentences of many kinds: questions, prices, addresses, slang, other scripts.

PROBE_TEXTS: tuple[str, ...] = (
    "The quick brown fox doesn't jump over the lazy dog's kennel any more.",
    "Shares of Acme Corp. fell 3.5% to $12.40 on Tuesday, its lowest close since Jan. 2009, analysts said.",
    "Who's going to pay for all of this?  I can't, you won't, and they never have!",
    '"We do not expect to win," she told reporters, "but we will have played our best football by then."',
    "Send the file to jane.doe@example.org or see https://www.example.org/a/b?c=d#e for details.",
    "U.S. officials met Mr. O'Neill's delegation in St. Petersburg at 5 p.m. on the 21st.",
    "lol that movie was soooo bad :( but the ending... wow!!! <3 #worstever @someone",
    "\n\nSubject: Re: free upgrade\n\n\tCall 0800-555-0199 now -- 50% off (today only)\u2026  \n",
    "I left the left bag on the left; the refuse that they refuse to collect can rust in the can.",
    "He said that that that that man used was wrong, though not as wrong as hers had been.",
    "Please transfer £20 from my savings account to my cheque account, then freeze my card.",
    "Running, swimming and cycling keep her fit; ran, swum and cycled, he has had enough of having to.",
    "The 2nd-largest bank's CEO (and ex-CFO) resigned [again] on 12/05/2004, citing 'family reasons'.",
    "Which of these do you like best: tea, coffee/cocoa, or something else entirely?",
    "gonna wanna gotta lemme dunno ain't y'all could've should've it'd we'll I'm they're",
    "Zürich, São Paulo and 東京 are cities; naïve café façade; Ελλάδα; Привет мир; 😀 👍🏽",
    "To be, or not to be: that is the question whether 'tis nobler in the mind to suffer.",
    "Yes.",
    "   ",
    "",
)


def self_tested_fast_tagger(
    nlp: "Language",
    *,
    max_run: int,
    precision: Precision,
    device: str,
) -> FastTagger:
    """Return the fast tagger after it has given spaCy's own tags for the probe sentences.

    In bf16 one tag in a hundred may differ; in fp32 none may.

    Raises:
        UnknownArchitecture: another architecture, or another tag.
    """
    # spaCy's own tags come first, while its vocabulary still computes all attributes: FastTagger drops some.
    with nlp.memory_zone():
        expected = [[(token.text, token.tag_, token.pos_) for token in doc] for doc in nlp.pipe(PROBE_TEXTS)]
    tagging = FastTagger(nlp, max_run=max_run, precision=precision, device=device)
    block = tagging.tag(PROBE_TEXTS)
    num_tokens = num_other = 0
    # Another cut is refused at once, since it is no matter of rounding; other tags are counted.
    for start, end, tokens in zip(block.starts.tolist(), block.ends.tolist(), expected, strict=True):
        if end - start != len(tokens):
            raise UnknownArchitecture("it cuts a probe sentence into other tokens")
        tags, pos = block.tags[start:end].tolist(), block.pos[start:end].tolist()
        found = [(tagging.tag_names[tag], POS_TAGS[index]) for tag, index in zip(tags, pos, strict=True)]
        num_other += sum(pair != token[1:] for pair, token in zip(found, tokens, strict=True))
        num_tokens += len(tokens)
    allowed = 0 if precision is Precision.fp32 else num_tokens // 100
    if num_other > allowed:
        raise UnknownArchitecture(f"{num_other} of {num_tokens} tags of the probe sentences differ from spaCy's")
    return tagging
