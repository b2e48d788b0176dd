"""Graphs: made of weights and a family, read from other programs' code, written as code. Built on `onnx_ir`."""
