"""A saved model that answers: the classifier, its networks in torch, numpy or ONNX, export."""
