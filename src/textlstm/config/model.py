"""Group `model`: the network and the linear expert beside it."""

from dataclasses import dataclass, field

from textlstm.config.checks import check_fraction, check_positive, check_range, check_ranges, require
from textlstm.config.choices import Encoder, Pooling

MOST_WIDTH = 65_536
"""Of any vector in a network."""
MOST_WEIGHTS = 1_000_000_000
"""Of one network: 4 GB of float32, and four times that while it is trained."""


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
    """Dimensions of the part-of-speech embedding beside the word embedding; 0 means none. Needs text.pos=true; auto: 0,
    or 16 where cross-validation favors tags."""
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
        width = MOST_WIDTH
        for key in ("hidden_size", "embedding_size", "char_embedding_size", "conv_size"):
            check_ranges("model.", self, **{key: (1, width)})
        for key in ("pos_embedding_size", "char_cnn_size", "dense_size"):
            check_ranges("model.", self, **{key: (0, width)})
        check_ranges(
            "model.",
            self,
            num_layers=(1, 100),
            min_count=(1, 1_000_000_000),
            max_tokens=(1, 1_000_000),
            conv_width=(1, 1_000),
            conv_pool=(1, 1_000),
            subword_buckets=(0, 100_000_000),
            vocabulary_size=(2, 100_000_000),
            # Below 0 is allowed here: -1 freezes the vectors for the whole training.
            freeze_epochs=(-1, 100_000),
        )
        for key in ("word_dropout", "embedding_dropout", "locked_dropout", "recurrent_dropout", "head_dropout"):
            check_fraction(f"model.{key}", getattr(self, key))
        check_positive("model.expert_c", self.expert_c, most=1_000_000)
        check_range("model.expert_vectors", self.expert_vectors, 0, 1_000_000)
        # Sizes that are fine by themselves can be too much together.
        num_weights = self.num_weights()
        require(
            num_weights <= MOST_WEIGHTS,
            f"model: a network of these sizes has {num_weights:,} weights beside its word vectors, and at most "
            f"{MOST_WEIGHTS:,} are taken; lower model.hidden_size, model.num_layers or what else is large",
        )

    def num_weights(self) -> int:
        """Return about how many weights the network has beside its word vectors, whose number the data decide."""
        size = self.embedding_size + self.pos_embedding_size + self.char_cnn_size
        total = self.subword_buckets * self.embedding_size + 3 * self.char_embedding_size * self.char_cnn_size
        if self.encoder is Encoder.cnn_lstm:
            total += size * self.conv_width * self.conv_size
            size = self.conv_size
        gates = {Encoder.rnn: 1, Encoder.gru: 3}.get(self.encoder, 4)
        directions = 2 if self.bidirectional else 1
        # The first layer reads the vectors, each further one the states of the layer before.
        for _ in range(self.num_layers):
            total += directions * gates * self.hidden_size * (size + self.hidden_size)
            size = directions * self.hidden_size
        pooled = 2 * size if self.pooling is Pooling.max_mean else size
        return total + pooled * self.dense_size
