"""Tokenizers between Hugging Face's files and GGUF's metadata: vocabulary, merges, special tokens, chat templates."""
