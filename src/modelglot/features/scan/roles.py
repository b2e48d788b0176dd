"""What a global can be in a pickle: called, made an instance of, only named, the class of a storage."""

from __future__ import annotations

from typing import Any, NamedTuple

CALLED, MADE, NAMED, STORAGE = "called", "instantiated", "referenced", "storage"
ROLES = (CALLED, MADE, NAMED, STORAGE)


class Use(NamedTuple):
    """``name`` is ``module.attribute``; ``arguments`` are the first few it is called with, None for what is no plain
    value or reference."""

    name: str
    role: str
    offset: int
    arguments: tuple[Any, ...] = ()


# Functions that use one of their arguments: position -> role. They are data only if what they are given is.
PASSES: dict[str, tuple[tuple[int, str], ...]] = {
    "copyreg.__newobj__": ((0, MADE),),
    "copyreg.__newobj_ex__": ((0, MADE),),
    "copyreg._reconstructor": ((0, MADE), (1, CALLED)),
    "numpy.core.multiarray._reconstruct": ((0, MADE),),
    "torch._tensor._rebuild_from_type": ((0, CALLED), (1, MADE)),
    "torch._tensor._rebuild_from_type_v2": ((0, CALLED), (1, MADE)),
    "torch._utils._rebuild_wrapper_subclass": ((0, MADE),),
    "numpy.random._pickle.__generator_ctor": ((0, CALLED), (1, CALLED)),
    "numpy.random._pickle.__bit_generator_ctor": ((0, CALLED),),
    "numpy.random._pickle.__randomstate_ctor": ((0, CALLED), (1, CALLED)),
    "numpy.ma.core._mareconstruct": ((0, MADE), (1, MADE)),
    "functools.partial": ((0, CALLED),),
    "pandas.core.indexes.base._new_Index": ((0, MADE),),
    "pandas._libs.arrays.__pyx_unpickle_NDArrayBacked": ((0, MADE),),
    "sklearn.neighbors._kd_tree.newObj": ((0, MADE),),
    "sklearn.neighbors._ball_tree.newObj": ((0, MADE),),
    "sklearn.metrics._dist_metrics.newObj": ((0, MADE),),
    "jax._src.array._reconstruct_array": ((0, CALLED),),
    "collections.defaultdict": ((0, CALLED),),
}
# Harmless or not by what they are given, so every call is looked at.
CAREFUL = frozenset([
    "builtins.getattr", "functools.partial", "operator.attrgetter", "operator.itemgetter", "operator.methodcaller",
    "builtins.type",
])  # fmt: skip
# Plain types that take as much memory as a number says, and from which number on that is worth a finding.
SIZED, ENORMOUS = frozenset(["builtins.bytes", "builtins.bytearray", "builtins.range"]), 1 << 28
# Functions whose text arguments are Python code that they run; `modelglot.features.scan.code` reads it.
_COMPILING = ("reduce_graph_module", "reduce_package_graph_module", "reduce_deploy_graph_module", "_forward_from_src")
CODE = frozenset(f"torch.fx.graph_module.{name}" for name in _COMPILING)
