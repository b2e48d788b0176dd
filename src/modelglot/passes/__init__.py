"""Model -> Model: choose, rename, cast, wrap. A pass describes; the engine computes."""
