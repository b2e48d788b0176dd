"""Words that names are made of: suffixes, files known by their whole name, and what tuned models are called."""

from __future__ import annotations

SUFFIXES = (
    ".safetensors.index.json", ".bin.index.json", ".safetensors", ".gguf", ".ggml", ".pth.tar", ".pdparams", ".msgpack",
    ".onnx", ".keras", ".ckpt", ".json", ".npz", ".npy", ".bin", ".pth", ".pt", ".h5", ".hdf5", ".tflite", ".jit",
    ".ptl", ".pkl", ".pickle", ".joblib", ".mlmodel",
)  # fmt: skip
WELL_KNOWN = {
    "pytorch_model.bin": "PyTorch weights as Hugging Face transformers names them",
    "model.safetensors": "weights as Hugging Face transformers names them",
    "diffusion_pytorch_model.safetensors": "weights of one part of a diffusers pipeline",
    "diffusion_pytorch_model.bin": "PyTorch weights of one part of a diffusers pipeline",
    "diffusion_pytorch_model.fp16.safetensors": "16-bit weights of one part of a diffusers pipeline",
    "adapter_model.safetensors": "an adapter (PEFT, such as LoRA): changes to a base model, not a whole one",
    "adapter_model.bin": "an adapter (PEFT, such as LoRA): changes to a base model, not a whole one",
    "pytorch_lora_weights.safetensors": "a LoRA of a diffusers pipeline: changes to a base model, not a whole one",
    "training_args.bin": "the settings of a training run (a pickled TrainingArguments), not weights",
    "optimizer.pt": "the optimizer of a training run, not the model",
    "optimizer.bin": "the optimizer of a training run, not the model",
    "scheduler.pt": "the learning-rate schedule of a training run, not weights",
    "scaler.pt": "the loss scale of a training run, not weights",
    "rng_state.pth": "the random number state of a training run, not weights",
    "model.safetensors.index.json": "the index of weights in shards",
    "pytorch_model.bin.index.json": "the index of PyTorch weights in shards",
    "spiece.model": "a tokenizer (SentencePiece)", "tokenizer.model": "a tokenizer (SentencePiece)",
    "last.ckpt": "the latest checkpoint of a training run (PyTorch Lightning)",
}  # fmt: skip
TUNED = {
    "instruct": "instruct-tuned", "it": "instruct-tuned (it)", "chat": "tuned for chat", "base": "not tuned (base)",
    "pt": "not tuned (pt)", "sft": "tuned on examples (sft)", "dpo": "tuned on preferences (dpo)",
    "thinking": "tuned to reason (thinking)", "reasoning": "tuned to reason", "coder": "tuned for code",
    "code": "tuned for code", "embedding": "an embedding model", "reranker": "a reranker", "vision": "with vision",
    "vl": "with vision (vl)", "abliterated": "refusals removed (abliterated)", "uncensored": "tuned to refuse less",
    "lora": "an adapter (LoRA)", "pruned-emaonly": "averaged weights only (pruned, emaonly)",
    "emaonly": "averaged weights only (emaonly)", "inpainting": "tuned to fill in pictures (inpainting)",
    "refiner": "for the last steps (refiner)", "turbo": "tuned for few steps (turbo)", "distilled": "distilled",
}  # fmt: skip
