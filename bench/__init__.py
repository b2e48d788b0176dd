"""Claims of speed and memory, measured: one module a question, one JSON row a result in ``results/NAME.jsonl``."""
