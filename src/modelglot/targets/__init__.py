"""Runtimes: what each needs of a model (`check`) and how a model is packed for it. One module a runtime."""
