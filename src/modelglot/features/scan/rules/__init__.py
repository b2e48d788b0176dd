"""One rule a file: what it looks at, and what it finds there."""
