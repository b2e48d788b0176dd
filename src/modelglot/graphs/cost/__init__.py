"""What running a graph takes: operations and memory, from the shapes of its values."""
