"""What Keras' files share: the configuration of a model, and which weight of which layer a path means."""
