"""Whether a file is what it was when it was written."""
