"""What a file would do if it was loaded: read symbolically, never run."""
