"""Globals of pickles that stand for plain data, by exact name.

What is neither here nor in `harmful` is reported as unknown. Prefixes are not used: packages
re-export everything (``torch.serialization.os.system``).
"""

from __future__ import annotations

from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING  # what CPython's unpicklers map old names to
from functools import lru_cache

from modelglot.containers.pickle.harmful import is_harmful
from modelglot.containers.pickle.torch_storage import STORAGE_CLASSES, TORCH_DTYPES

_PLAIN_TEXT = """
collections.OrderedDict collections.Counter collections.defaultdict collections.deque _codecs.encode
builtins.set builtins.frozenset builtins.list builtins.dict builtins.tuple builtins.complex builtins.bytes
builtins.bytearray builtins.int builtins.float builtins.str builtins.bool builtins.object builtins.slice builtins.range
copyreg._reconstructor argparse.Namespace types.SimpleNamespace
datetime.datetime datetime.date datetime.time datetime.timedelta datetime.timezone decimal.Decimal fractions.Fraction
uuid.UUID pathlib.PosixPath pathlib.WindowsPath pathlib.PurePosixPath pathlib.PureWindowsPath pathlib.Path
numpy.ndarray numpy.dtype numpy.core.multiarray._reconstruct numpy.core.multiarray.scalar numpy.core.numeric._frombuffer
numpy.float64 numpy.float32 numpy.float16 numpy.int64 numpy.int32 numpy.int16 numpy.int8 numpy.uint64 numpy.uint32
numpy.uint16 numpy.uint8 numpy.bool_ numpy.bool numpy.str_ numpy.bytes_
torch.Size torch.device torch.Tensor torch.nn.parameter.Parameter torch.nn.parameter.Buffer
torch.serialization._get_layout torch._utils._rebuild_tensor torch._utils._rebuild_tensor_v2
torch._utils._rebuild_tensor_v3 torch._utils._rebuild_parameter torch._utils._rebuild_parameter_with_state
torch._utils._rebuild_qtensor torch._utils._rebuild_sparse_tensor torch._utils._rebuild_nested_tensor
torch._utils._rebuild_meta_tensor_no_storage torch._utils._rebuild_device_tensor_from_numpy
torch._utils._rebuild_device_tensor_from_cpu_tensor torch._utils._rebuild_xla_tensor
torch._utils._rebuild_wrapper_subclass torch._tensor._rebuild_from_type_v2 torch._tensor._rebuild_from_type
torch.per_tensor_affine torch.per_tensor_symmetric torch.per_channel_affine torch.per_channel_symmetric
torch.per_channel_affine_float_qparams torch.jit._pickle.build_intlist torch.jit._pickle.build_tensorlist
torch.jit._pickle.build_doublelist torch.jit._pickle.build_boollist torch.jit._pickle.restore_type_tag
torch.jit._pickle.build_tensor_from_id
torch.distributed.tensor.DTensor torch.distributed.tensor._dtensor_spec.DTensorSpec
torch.distributed.tensor._dtensor_spec.TensorMeta torch.distributed.tensor._dtensor_spec.ShardOrderEntry
torch.distributed.tensor.placement_types.Shard torch.distributed.tensor.placement_types._StridedShard
torch.distributed.tensor.placement_types.Replicate torch.distributed.tensor.placement_types.Partial
torch.distributed.device_mesh.DeviceMesh torch.distributed._mesh_layout._MeshLayout
torch.distributed._mesh_layout._FlatLayout torch.distributed.checkpoint.metadata.Metadata
torch.distributed.checkpoint.metadata.TensorStorageMetadata torch.distributed.checkpoint.metadata.BytesStorageMetadata
torch.distributed.checkpoint.metadata.ChunkStorageMetadata torch.distributed.checkpoint.metadata.TensorProperties
torch.distributed.checkpoint.metadata.MetadataIndex torch.distributed.checkpoint.metadata.StorageMeta
torch.distributed.checkpoint.metadata._MEM_FORMAT_ENCODING torch.distributed.checkpoint.filesystem._StorageInfo
"""
_STORAGES = [f"torch.{module}{name}" for module in ("", "storage.", "cuda.") for name in STORAGE_CLASSES]
_UNTYPED = [f"torch.storage.{name}" for name in ("UntypedStorage", "TypedStorage", "_UntypedStorage", "_TypedStorage")]

_DTYPES = [f"torch.{name}" for name in TORCH_DTYPES]
PLAIN: frozenset[str] = frozenset([*_PLAIN_TEXT.split(), *_STORAGES, *_UNTYPED, *_DTYPES])

_MODULES = {
    "numpy._core": "numpy.core", "pathlib._local": "pathlib", "numpy._core.multiarray": "numpy.core.multiarray",
    "numpy._core.numeric": "numpy.core.numeric", "numpy._core._internal": "numpy.core._internal",
    "numpy._core.fromnumeric": "numpy.core.fromnumeric", "numpy._core.memmap": "numpy.core.memmap",
    "_operator": "operator", "_functools": "functools", "_collections": "collections",
}  # fmt: skip


@lru_cache(4096)
def folded(name: str) -> str:
    """``module.name`` with the spellings of Python 2, NumPy 2 and Python 3.13 made one."""
    module, _, attribute = name.rpartition(".")
    module, attribute = NAME_MAPPING.get((module, attribute), (module, attribute))
    module = IMPORT_MAPPING.get(module, module)
    return f"{_MODULES.get(module, module)}.{attribute}"


def severity(name: str, *, torchscript: bool = False) -> str | None:
    """``unsafe``, ``unknown``, or None for plain data. ``__torch__.*`` is a class of TorchScript's own code there."""
    known = folded(name)
    if known in PLAIN or (torchscript and known.startswith("__torch__.")):
        return None
    if is_harmful(known):
        return "unsafe"
    return "unknown"
