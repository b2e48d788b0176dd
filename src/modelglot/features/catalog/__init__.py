"""A table of all models of a tree: one row each, kept as Parquet, asked in SQL."""
