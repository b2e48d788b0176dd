"""What the values of each tensor are like, in one pass."""
