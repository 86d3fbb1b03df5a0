"""Pretrained word vectors -> the matrix that the network starts from."""

from textlstm.embeddings.matrix import Embeddings, SourceCoverage, load_embeddings

__all__ = ["Embeddings", "SourceCoverage", "load_embeddings"]
