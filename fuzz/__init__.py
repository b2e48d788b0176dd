"""Coverage-guided fuzzing of every reader: ``python -m fuzz [FORMAT ...]``.

HDF5 files (``keras-h5``, and the weights in ``keras``) are not among them: libhdf5 reads them in a process of its own,
which has no coverage to guide and dies alone (tests/hostile/test_hdf5_process.py).
"""

FILES = ("safetensors", "gguf", "torch-zip", "torch-legacy", "torchscript", "pickle", "npz", "npy", "onnx", "tflite",
         "flax", "tf-v1-checkpoint", "tf-graph", "ggml", "coreml", "caffe")  # fmt: skip
FOLDERS = ("tf-checkpoint", "tf-saved-model", "dcp", "deepspeed", "torch-ranks", "megatron", "openvino", "paddle",
           "darknet", "orbax")  # fmt: skip
