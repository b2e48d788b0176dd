"""Shipped help for testing formats: tiny models, bytes made by hand. Nothing in the package imports it."""
