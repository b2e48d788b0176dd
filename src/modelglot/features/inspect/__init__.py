"""What is in a model, as typed documents: the tree, the totals, the name, the folder."""
