"""Are two models the same tensors, whatever their formats? Returns a typed report."""
