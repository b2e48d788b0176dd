"""Where pieces of work run: one interface, an implementation a module."""
