"""Group `model`: the network and the linear expert beside it."""

from dataclasses import dataclass, field

from textlstm.config.checks import check_at_least, check_fraction, check_positive
from textlstm.config.choices import Encoder, Pooling


@dataclass
class ModelConfig:
    """The network: embedding, encoder, pooling, head, and the linear expert beside it."""

    encoder: Encoder = Encoder.lstm
    """rnn, lstm, gru, or cnn_lstm (convolution and pooling over the sequence before an LSTM)."""
    bidirectional: bool = True
    """Read each text forwards and backwards."""
    hidden_size: int = 128
    """Units of each direction."""
    num_layers: int = 1
    """Stacked recurrent layers."""
    pooling: Pooling = Pooling.max_mean
    """last, mean, max, max_mean or attention; padding never takes part."""
    embedding_size: int = 100
    """Dimensions of word embeddings; with pretrained vectors, their own size counts."""
    embeddings: list[str] = field(default_factory=list)
    """Pretrained vectors, concatenated: wordllama, spacy[:NAME], or files (GloVe, word2vec, .vec). Empty: random; auto:
    wordllama."""
    freeze_epochs: int = 0
    """Epochs during which pretrained vectors stay fixed; -1 means always; auto: -1 with fewer than 500 rows, else 0."""
    vocabulary_size: int = 50_000
    """At most this many words, the most frequent."""
    min_count: int = 1
    """Words seen less often in train become <unk>."""
    subword_buckets: int = 0
    """Vectors shared by the hashed character n-grams of unknown words; 0 means one <unk> vector for all of them."""
    max_tokens: int = 400
    """Longer texts keep their first three quarters and last quarter of this many tokens; auto: 400, less where
    training.minutes would not do for one epoch."""
    pos_embedding_size: int = 0
    """Dimensions of the part-of-speech embedding beside the word embedding; 0 means none. Needs text.pos=true."""
    char_cnn_size: int = 0
    """Filters of a CNN over the characters of each token, beside the word embedding; 0 means none."""
    char_embedding_size: int = 16
    """Dimensions of the character embedding under char_cnn_size."""
    conv_size: int = 128
    """Filters of the convolution of encoder=cnn_lstm."""
    conv_width: int = 5
    """Tokens under one filter of encoder=cnn_lstm."""
    conv_pool: int = 2
    """Time steps that max pooling joins after the convolution of encoder=cnn_lstm."""
    dense_size: int = 0
    """Units of a dense ReLU layer before the output layer; 0 means none."""
    word_dropout: float = 0.1
    """Chance that a token is replaced by <unk> in training."""
    embedding_dropout: float = 0.0
    """Chance that a word type loses its vector for a whole training batch."""
    locked_dropout: float = 0.4
    """Dropout of embedding dimensions (and between stacked layers), one mask a text for all time steps."""
    recurrent_dropout: float = 0.0
    """Dropout of recurrent weights (weight-drop), one mask a batch."""
    head_dropout: float = 0.5
    """Dropout before the dense and output layers."""
    linear_expert: bool = True
    """Fit a TF-IDF n-gram linear classifier beside the network and learn how far to trust each."""
    expert_char_ngrams: bool = False
    """The linear expert also sees character 2-5 grams within words: often better, several times slower; auto: by
    cross-validation."""
    expert_char_across: bool = False
    """The linear expert also sees character 1-3 grams across words: for scripts without spaces between words; auto: for
    texts in such scripts."""
    expert_vectors: float = 0.0
    """Weight of the mean of a text's pretrained vectors (wordllama) beside the n-grams of the linear expert; 0 means
    none. Most useful with few rows; auto: by cross-validation."""
    expert_naive_bayes: bool = False
    """The linear expert scales each n-gram by its naive Bayes log-count ratio for a label (NBSVM): often better on
    short texts, as many fits as labels on scaled copies of the rows; auto: by cross-validation."""
    expert_c: float = 1.0
    """Inverse regularization strength C of the linear expert."""

    def __post_init__(self) -> None:
        """Check ranges."""
        for key in ("hidden_size", "num_layers", "embedding_size", "min_count", "max_tokens", "char_embedding_size"):
            check_at_least(f"model.{key}", getattr(self, key), 1)
        for key in ("conv_size", "conv_width", "conv_pool"):
            check_at_least(f"model.{key}", getattr(self, key), 1)
        for key in ("subword_buckets", "pos_embedding_size", "char_cnn_size", "dense_size"):
            check_at_least(f"model.{key}", getattr(self, key), 0)
        check_at_least("model.vocabulary_size", self.vocabulary_size, 2)
        # Below 0 is allowed here: -1 freezes the vectors for the whole training.
        check_at_least("model.freeze_epochs", self.freeze_epochs, -1)
        for key in ("word_dropout", "embedding_dropout", "locked_dropout", "recurrent_dropout", "head_dropout"):
            check_fraction(f"model.{key}", getattr(self, key))
        check_positive("model.expert_c", self.expert_c)
        check_at_least("model.expert_vectors", self.expert_vectors, 0)
