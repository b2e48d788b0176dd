"""Programs of their own that run a framework: PyTorch and TensorFlow never enter our process.

Each is started by `modelglot.graphs.process` with the path of a JSON file, and writes ``result.json`` beside it.
"""
