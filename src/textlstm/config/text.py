"""Group `text`: from text to tokens and parts of speech."""

from dataclasses import dataclass, field

from textlstm.config.checks import check_ranges, require
from textlstm.config.choices import Device, Precision, Tagger


@dataclass
class TextConfig:
    """From text to tokens and parts of speech; stored with the model."""

    language: str = "en"
    """spaCy language code."""
    spacy_model: str = ""
    """Installed spaCy package to use; empty means the first one found for the language."""
    pos: bool = True
    """Tag parts of speech; false leaves the tagger out and is several times faster; auto: in `prepare`,
    and in a training if a setting reads them."""
    tagger: Tagger = Tagger.auto
    """spacy runs nlp.pipe; fast runs the same weights in large batches; auto takes fast where its tags prove equal."""
    tagger_precision: Precision = Precision.fp32
    """Number format of the fast tagger."""
    tagger_device: Device = Device.cpu
    """Where the fast tagger runs while a corpus is prepared: cpu (a process a core), cuda, or auto for cuda where there
    is one; on a GPU one process prepares. Tags are the same."""
    stop_words: str = "keep"
    """keep, remove (the packaged list, negations stay), or the path of a file with one word a line; auto: keep, or
    remove where cross-validation of a training favors it."""
    keep_pos: list[str] = field(default_factory=list)
    """Keep only tokens with these universal POS tags, such as [NOUN,VERB]; empty keeps all. Needs pos=true; auto: none,
    or those of content words where cross-validation of a training favors it."""
    drop_pos: list[str] = field(default_factory=list)
    """Drop tokens with these universal POS tags, such as [PUNCT]. Needs pos=true."""
    lemmas: bool = False
    """Use lemmas in place of word forms; needs an installed spaCy model with a lemmatizer (slow)."""
    lowercase: bool = True
    """Lower-case tokens."""
    normalize_numbers: bool = False
    """Replace every token that looks like a number by <num>."""
    normalize_urls: bool = True
    """Replace every token that looks like a URL or an e-mail address by <url> or <email>."""
    max_run: int = 200
    """A run of characters without white space longer than this is cut into pieces of this length."""

    def __post_init__(self) -> None:
        """Check ranges."""
        check_ranges("text.", self, max_run=(20, 1_000_000))
        is_code = self.language.isascii() and self.language.isalpha()
        require(is_code, f"text.language must be a language code such as en or de, got {self.language!r}")
        require(bool(self.stop_words), "text.stop_words must be keep, remove or the path of a file")
        if self.keep_pos or self.drop_pos:
            require(self.pos, "text.keep_pos and text.drop_pos need text.pos=true")
