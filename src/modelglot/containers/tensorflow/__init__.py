"""What TensorFlow's files share: element types, bundles of tensors, graphs, object graphs."""
