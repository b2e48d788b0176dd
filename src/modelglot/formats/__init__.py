"""One module or folder a format. They never import one another; `registry` finds them by name."""
