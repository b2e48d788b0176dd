"""What modelglot can say of a model, one package a question. They return typed reports and never import one another."""
