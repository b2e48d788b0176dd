"""TorchScript archives to ONNX: their code is parsed and followed symbolically, never run.

`archive` has the parts of the file, `interpreter` follows the code, `operators` says what each ``torch.*`` is in ONNX.
"""
