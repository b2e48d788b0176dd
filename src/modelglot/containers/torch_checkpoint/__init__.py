"""What PyTorch's file formats share: how they are told apart, their archives and streams, what is dangerous in them."""
