"""A pickle machine that imports nothing, calls nothing, and gives inert values: see `machine`."""
