"""Language models as ONNX graphs that run: built of a family's layers, around weights that stay where they are."""
