"""A graph as a PyTorch module: readable source and a state dict. Nothing here needs torch: what is made is text."""
