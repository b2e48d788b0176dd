"""llama.cpp's recipes for whole files: which block type each tensor gets. Facts from llama-quant.cpp, figures only."""
