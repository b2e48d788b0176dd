"""Coverage-guided fuzzing of every reader: ``python -m fuzz [FORMAT ...]``."""
