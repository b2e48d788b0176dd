"""Writes what real frameworks save, one file a case, into a folder: ``python framework_files.py FOLDER``.

Run with any interpreter; frameworks that it does not have are left out. Part of the question `scan_frameworks`.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import datetime
import decimal
import fractions
import pathlib
import pickle
import random
import sys
import types
import uuid
import warnings
from collections.abc import Callable, Iterator
from typing import Any

Case = tuple[str, Any]
VISION = "resnet18 mobilenet_v2 vgg11 densenet121 efficientnet_b0 vit_b_16 swin_t convnext_tiny squeezenet1_0 alexnet"
TIMM = [
    "resnet18",
    "vit_tiny_patch16_224",
    "convnext_atto",
    "efficientnet_b0",
    "mobilenetv3_small_050",
    "swin_tiny_patch4_window7_224",
    "regnetx_002",
    "mixer_s32_224",
    "beit_base_patch16_224",
    "levit_128s",
    "tf_efficientnet_b0",
    "dla34",
    "res2net50_14w_8s",
    "seresnet50",
    "ghostnet_050",
    "cait_xxs24_224",
    "pit_ti_224",
    "poolformer_s12",
    "edgenext_xx_small",
]


def python_values() -> Iterator[Case]:
    kept = {
        "a": collections.OrderedDict(a=1), "b": collections.defaultdict(list, a=[1]), "c": collections.Counter("abc"),
        "d": collections.deque([1]), "e": {1}, "f": frozenset([1]), "g": 1j, "h": b"abc\xff" * 5, "i": bytearray(b"x"),
        "j": slice(1, 2), "k": range(3), "l": 2**80, "m": datetime.datetime(2020, 1, 1), "n": datetime.UTC,
        "o": pathlib.PurePosixPath("a"), "p": fractions.Fraction(1, 2), "q": types.SimpleNamespace(a=1),
        "r": type(None),
        "s": decimal.Decimal("1.1"), "t": uuid.UUID(int=5), "u": random.Random(1), "v": argparse.Namespace(lr=0.1),
    }  # fmt: skip
    for protocol in range(6):
        yield f"values-{protocol}.pkl", lambda path, p=protocol: path.write_bytes(pickle.dumps(kept, p))


def arrays() -> Iterator[Case]:
    import numpy as np

    kept = {
        "a": np.ones(3), "b": np.float32(1), "c": np.dtype("f4"), "d": np.zeros(2, [("a", "f4")]),
        "e": np.array([1, "a"], object),
        "f": np.ma.masked_array([1, 2], [0, 1]), "g": np.rec.array([(1,)], dtype=[("a", "i4")]),
        "h": np.datetime64("2020"),
        "i": np.random.RandomState(3), "j": np.random.default_rng(3), "k": np.random.get_state(),
        "l": np.ones(3, ">f4"),
    }  # fmt: skip
    for name, value in kept.items():
        yield f"numpy-{name}.pkl", lambda path, v=value: path.write_bytes(pickle.dumps(v, 4))


def torch_files() -> Iterator[Case]:
    import torch
    from torch import nn

    def saved(value: Any, **more: Any) -> Callable[[pathlib.Path], None]:
        return lambda path: torch.save(value, path, **more)

    layers = [
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Linear(8, 4), nn.Dropout(), nn.LayerNorm(4), nn.LSTM(4, 4),
        nn.GRU(2, 2), nn.MultiheadAttention(8, 2), nn.Transformer(16, 2, 1, 1, 32), nn.Embedding(4, 2), nn.GELU(),
        nn.ParameterList([nn.Parameter(torch.ones(2))]), nn.ModuleDict({"a": nn.Linear(2, 2)}), nn.CrossEntropyLoss(),
    ]  # fmt: skip
    module = nn.Sequential(*layers[:6])
    for layer in layers:
        yield f"module-{type(layer).__name__}.pt", saved(layer)
    for new in (True, False):
        yield f"state-{new}.pt", saved(module.state_dict(), _use_new_zipfile_serialization=new)
        yield f"whole-{new}.pt", saved(module, _use_new_zipfile_serialization=new)
    for name in [
        "SGD",
        "Adam",
        "AdamW",
        "RMSprop",
        "Adagrad",
        "LBFGS",
        "NAdam",
        "RAdam",
        "Adadelta",
        "Adamax",
        "ASGD",
        "Rprop",
    ]:
        optimizer = getattr(torch.optim, name)(module.parameters(), lr=0.1)
        yield f"optimizer-{name}.pt", saved(optimizer.state_dict())
        yield f"optimizer-object-{name}.pt", saved(optimizer)
    optimizer, rates = torch.optim.SGD(module.parameters(), lr=0.1), torch.optim.lr_scheduler
    for scheduler in (
        rates.StepLR(optimizer, 3), rates.CosineAnnealingLR(optimizer, 3), rates.ReduceLROnPlateau(optimizer),
        rates.OneCycleLR(optimizer, 0.1, total_steps=9), rates.CyclicLR(optimizer, 0.1, 0.2),
    ):  # fmt: skip
        yield f"scheduler-{type(scheduler).__name__}.pt", saved(scheduler.state_dict())
        yield f"scheduler-object-{type(scheduler).__name__}.pt", saved(scheduler)
    one = torch.ones(2)
    tensors = [
        torch.eye(3).to_sparse(), torch.eye(3).to_sparse_csr(), torch.quantize_per_tensor(one, 0.1, 0, torch.qint8),
        torch.nested.nested_tensor([one]), one.bfloat16(), one.to(torch.float8_e4m3fn), one.to("meta"),
        nn.Parameter(one),
        one.untyped_storage(), one.storage(), [torch.float16, torch.Size([1]), torch.device("cpu"), torch.strided],
    ]  # fmt: skip
    for number, tensor in enumerate(tensors):
        yield f"tensor-{number}.pt", saved(tensor)
    yield "script.pt", lambda path: torch.jit.save(torch.jit.script(nn.Linear(2, 2)), path)
    yield "fx.pt", saved(torch.fx.symbolic_trace(module))
    yield "averaged.pt", saved(torch.optim.swa_utils.AveragedModel(module))


def lightning_files() -> Iterator[Case]:
    import logging

    import lightning.pytorch as pl
    import torch

    class Net(pl.LightningModule):
        def __init__(self, width: int = 2) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.layer = torch.nn.Linear(width, 1)

        def training_step(self, batch: Any, number: int) -> Any:
            return self.layer(batch[0]).sum()

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters())

    logging.disable(50)

    def fitted(path: pathlib.Path) -> None:
        kept = pl.callbacks.ModelCheckpoint(path.parent / "kept")
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        trainer = pl.Trainer(max_epochs=1, accelerator="cpu", callbacks=[kept], **quiet)
        trainer.fit(Net(2), torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(4, 2))))
        trainer.save_checkpoint(path)

    yield "lightning.ckpt", fitted


def transformers_files() -> Iterator[Case]:
    import torch
    import transformers as t

    small = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "vocab_size": 60000,
    }
    for kind in ("Bert", "Roberta", "Electra", "DistilBert", "Llama", "GPT2"):
        config = getattr(t, f"{kind}Config")(**(small if kind not in ("DistilBert", "GPT2") else {}))
        yield f"config-{kind}.pt", lambda path, c=config: torch.save(c, path)
    for model in (t.BertModel, t.LlamaForCausalLM):
        yield f"{model.__name__}.pt", lambda path, m=model: torch.save(m(m.config_class(**small)), path)
    yield "training_args.bin", lambda path: torch.save(t.TrainingArguments(output_dir="/tmp/x", use_cpu=True), path)
    yield "generation.pt", lambda path: torch.save(t.GenerationConfig(), path)


def sklearn_files() -> Iterator[Case]:
    import joblib
    import numpy as np
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC
    from sklearn.utils import all_estimators

    x = np.random.default_rng(1).random((40, 4))
    y = (x[:, 0] > 0.5).astype(int)
    for name, cls in all_estimators():
        with contextlib.suppress(Exception):
            fitted = cls().fit(x, y)
            yield f"sklearn-{name}.joblib", lambda path, f=fitted: joblib.dump(f, path)
    pipeline = make_pipeline(StandardScaler(), SVC()).fit(x, y)
    for codec in ("zlib", "gzip", "bz2", "lzma", "xz", "lz4"):
        yield f"pipeline-{codec}.joblib", lambda path, c=codec: joblib.dump(pipeline, path, compress=(c, 3))


def pandas_files() -> Iterator[Case]:
    import pandas as pd

    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": pd.to_datetime(["2020", "2021"])})
    for number, value in enumerate(
        (frame, frame["a"], frame["b"].astype("category"), pd.Timestamp("2020"), pd.Timedelta(1))
    ):
        yield f"pandas-{number}.pkl", lambda path, v=value: pd.to_pickle(v, path)


def vision_files() -> Iterator[Case]:
    import timm
    import torch
    import torchvision

    with torch.device("meta"):
        for name in VISION.split():
            yield f"vision-{name}.pt", lambda path, n=name: torch.save(getattr(torchvision.models, n)(), path)
        for name in TIMM:
            yield f"timm-{name}.pt", lambda path, n=name: torch.save(timm.create_model(n), path)


def omegaconf_files() -> Iterator[Case]:
    from omegaconf import OmegaConf

    config = OmegaConf.create({"a": 1, "b": [1, 2], "c": {"d": "${a}"}})
    yield "omegaconf.pkl", lambda path: path.write_bytes(pickle.dumps(config))


def scipy_files() -> Iterator[Case]:
    import numpy as np
    import scipy.sparse as sp

    for name in ("csr_matrix", "csc_array", "coo_matrix", "lil_matrix", "dok_matrix"):
        yield f"scipy-{name}.pkl", lambda path, n=name: path.write_bytes(pickle.dumps(getattr(sp, n)(np.eye(3))))


GROUPS = (
    python_values, arrays, torch_files, lightning_files, transformers_files, sklearn_files, pandas_files, vision_files,
    omegaconf_files, scipy_files,
)  # fmt: skip


def main(folder: pathlib.Path) -> None:
    warnings.filterwarnings("ignore")
    for group in GROUPS:
        with contextlib.suppress(ImportError):
            for name, write in group():
                try:
                    write(folder / name)
                except Exception as error:  # a version that cannot make it: left out, and said
                    (folder / name).unlink(missing_ok=True)
                    print(f"left out {name}: {error}", file=sys.stderr)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
