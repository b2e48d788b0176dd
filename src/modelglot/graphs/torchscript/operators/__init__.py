"""What each operator of the code is in ONNX, in tables by theme. An entry takes the kit and the operator's arguments.

The names and the order of arguments are those of ``native_functions.yaml`` of PyTorch. Operators that end in ``_`` and
have no entry of their own are done as the others, and their result takes the place of the first argument.
"""
