"""Quantization methods of other worlds than ggml's: how each is recognised, and which tensors make one weight.

A method is one `Method`: the suffixes of the tensors that belong together, how to tell it from its like, and the kernel
that gives plain floats. `modelglot.passes.methods.decode` applies them.
"""
