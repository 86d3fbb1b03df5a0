"""Saved networks as ONNX graphs, and onnxruntime that computes them; nothing here imports torch."""
