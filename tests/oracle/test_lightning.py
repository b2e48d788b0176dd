"""PyTorch Lightning: its checkpoints become plain state dicts, and it loads what we write."""

from __future__ import annotations

from pathlib import Path

import lightning
import pytest
import torch

import modelglot as mg
from modelglot.core.errors import UnsupportedError


class Net(lightning.LightningModule):
    def __init__(self, width: int = 4, name: str = "x") -> None:
        super().__init__()
        self.save_hyperparameters()
        self.model = torch.nn.Sequential(torch.nn.Linear(3, width), torch.nn.BatchNorm1d(width))

    def training_step(self, batch: torch.Tensor) -> torch.Tensor:
        return self.model(batch[0]).sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lightning")
    trainer = lightning.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_progress_bar=False, default_root_dir=folder,
        enable_checkpointing=False,
    )  # fmt: skip
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randn(8, 3)), batch_size=4)
    trainer.fit(Net(5), data)
    trainer.save_checkpoint(folder / "a.ckpt")
    return folder / "a.ckpt"


def test_a_checkpoint_to_a_plain_state_dict(trained: Path, tmp_path: Path) -> None:
    wanted = torch.load(trained, weights_only=False)["state_dict"]
    mg.convert(trained, tmp_path / "a.pth", component="model")
    plain = torch.load(tmp_path / "a.pth", weights_only=True)
    assert list(plain) == list(wanted)
    mg.convert(trained, tmp_path / "b.pth", component="model", rename_rules=[(r"^model\.", "")])
    net = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.BatchNorm1d(5))
    net.load_state_dict(torch.load(tmp_path / "b.pth", weights_only=True))
    assert torch.equal(net[0].weight, wanted["model.0.weight"])


@pytest.mark.parametrize("source", ["state dict", "safetensors"])
def test_lightning_loads_what_we_write(tmp_path: Path, source: str) -> None:
    net = Net(6, "y")
    path = tmp_path / ("a.pth" if source == "state dict" else "a.safetensors")
    mg.save({n.removeprefix("model."): t for n, t in net.state_dict().items()}, path)
    mg.convert(
        path, tmp_path / "out.ckpt", dialect="lightning", rename_rules=[("^", "model.")],
        settings={"lightning:width": "6", "lightning:name": "y"},
    )  # fmt: skip
    loaded = Net.load_from_checkpoint(tmp_path / "out.ckpt")
    assert (loaded.hparams.width, loaded.hparams.name) == (6, "y")
    for name, tensor in net.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


def test_there_and_back(trained: Path, tmp_path: Path) -> None:
    mg.convert(trained, tmp_path / "a.pth", component="model")
    mg.convert(tmp_path / "a.pth", tmp_path / "b.ckpt", dialect="lightning")
    assert mg.diff(trained, tmp_path / "b.ckpt").same
    assert mg.inspect(tmp_path / "b.ckpt").model.dialect == "lightning"
    assert Net.load_from_checkpoint(tmp_path / "b.ckpt", width=5).model[0].weight.shape == (5, 3)


def test_only_pytorch_files(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="for PyTorch files"):
        mg.convert(trained, tmp_path / "a.safetensors", dialect="lightning")
