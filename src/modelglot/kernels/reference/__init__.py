"""The kernels in numpy: the specification in code, and what runs where nothing was compiled."""
