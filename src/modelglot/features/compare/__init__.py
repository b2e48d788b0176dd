"""How far one model's values are from another's: what quantization or a cast cost."""
