"""Names of frameworks that checkpoints hold: classes that are made and filled, functions that only make values."""

from __future__ import annotations

_CLASSES = """
torch.nn.modules.container.Sequential torch.nn.modules.container.ModuleList torch.nn.modules.container.ModuleDict
torch.nn.modules.linear.Linear torch.nn.modules.linear.Identity torch.nn.modules.conv.Conv1d
torch.nn.modules.conv.Conv2d torch.nn.modules.conv.Conv3d torch.nn.modules.batchnorm.BatchNorm1d
torch.nn.modules.batchnorm.BatchNorm2d torch.nn.modules.activation.ReLU torch.nn.modules.activation.SiLU
torch.nn.modules.dropout.Dropout torch.nn.modules.sparse.Embedding torch.nn.modules.normalization.LayerNorm
torch.nn.modules.rnn.LSTM torch.nn.modules.rnn.GRU
"""
STRUCTURES: frozenset[str] = frozenset(_CLASSES.split())
FUNCTIONS: frozenset[str] = frozenset(["copyreg.__newobj__"])
