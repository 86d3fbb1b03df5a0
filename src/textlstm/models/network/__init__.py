"""The recurrent network: batch, embedder, encoders, pooling, head. Tensors in, tensors out."""
