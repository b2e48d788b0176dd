"""Names of a graph as Python identifiers and as keys of a state dict.

What a file calls its values reaches the source only through here or through `literals.text`, so that no name can say
anything to Python: identifiers are made of ``a-z0-9_``, everything else is a string literal.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable

from modelglot.graphs.pytorch import literals

_LONG = 32  # characters of an identifier
_WORD = re.compile(r"[^a-zA-Z0-9]+")
_LAYERS = re.compile(r"[/.]+")
_NUMBERED = re.compile(r"(v|val|t|tmp|output)?_?\d+", re.ASCII)  # what exporters count is no name
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_INDEX = re.compile(r"0|[1-9][0-9]*", re.ASCII)
# What the lines of `forward` use themselves.
_USED = "bool complex float int isinstance len list max min range tuple zip itertools math nn self torch"
RESERVED = frozenset(keyword.kwlist) | frozenset(_USED.split())

# What `nn.Module` and `Group` have under their own names, held equal to torch by a test: a weight of that name gets `_`
# behind it.
_MODULE = """
add T_destination add_module apply bfloat16 buffers call_super_init children compile cpu cuda double dump_patches eval
extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half ipu load_state_dict modules mtia
named_buffers named_children named_modules named_parameters parameters register_backward_hook register_buffer
register_forward_hook register_forward_pre_hook register_full_backward_hook register_full_backward_pre_hook
register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module register_parameter
register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule share_memory
state_dict to to_empty train training type xpu zero_grad
_parameters _buffers _modules _non_persistent_buffers_set _backward_pre_hooks _backward_hooks _is_full_backward_hook
_forward_hooks _forward_hooks_with_kwargs _forward_hooks_always_called _forward_pre_hooks
_forward_pre_hooks_with_kwargs _state_dict_hooks _state_dict_pre_hooks _load_state_dict_pre_hooks
_load_state_dict_post_hooks _version _apply _call_impl _wrapped_call_impl _slow_forward _get_name
_save_to_state_dict _load_from_state_dict _named_members _register_load_state_dict_pre_hook
_register_state_dict_hook _replicate_for_data_parallel _compiled_call_impl _get_backward_hooks
_get_backward_pre_hooks _maybe_warn_non_full_backward_hook
"""
TAKEN = frozenset(_MODULE.split())
_WORDS = ("constant", "fixed", "literal")  # what constants of the source may be called, with a number


def identifier(name: str, otherwise: str, taken: set[str]) -> str:
    """An identifier like the end of ``name``, or like ``otherwise``; put among ``taken``."""
    parts = [word for part in _LAYERS.split(name.removesuffix("_output_0")) if (word := _words(part))]
    begin = max(len(parts) - 2, 0)
    while begin > 0 and parts[begin].isdigit():
        begin -= 1
    word = "_".join(parts[begin:])
    if not re.search("[a-z]", word) or _NUMBERED.fullmatch(parts[-1]):
        word = _words(otherwise)
    while len(word) > _LONG and "_" in word:
        word = word.partition("_")[2]
    return free(word[-_LONG:].lstrip("_0123456789") or "value", taken)


def free(word: str, taken: set[str]) -> str:
    """``word``, or ``word_2``, ``word_3`` ... where it is taken; it is taken then."""
    made, number = word, 1
    while made in taken or made in RESERVED:
        number += 1
        made = f"{word}_{number}"
    taken.add(made)
    return made


def _words(text: str) -> str:
    return _WORD.sub("_", _HUMP.sub("_", text)).strip("_").lower()


class Keys:
    """Keys of a state dict for tensors: their own names where `nn.Module` can have them.

    ``word`` is what constants of the source are called: one that no tensor is called, if there is one.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        first = {name.partition(".")[0].rpartition("_")[0] for name in names}
        self.word = next((word for word in _WORDS if word not in first), _WORDS[0])
        self.made: dict[str, str] = {}
        self._leaves: set[tuple[str, ...]] = set()
        self._groups: set[tuple[str, ...]] = set()

    def key(self, name: str) -> str:
        """No part of a key is empty, an attribute of every module, or both a weight and a group of weights."""
        if name in self.made:
            return self.made[name]
        path: tuple[str, ...] = ()
        parts = name.split(".")
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            part = f"_{part.strip('_')}_" if part.startswith("__") and part.endswith("__") else part or "_"
            while part in TAKEN or self._clash((*path, part), last):
                part += "_"
            path = (*path, part)
            if not last:
                self._groups.add(path)
        self._leaves.add(path)
        self.made[name] = ".".join(path)
        return self.made[name]

    def _clash(self, path: tuple[str, ...], last: bool) -> bool:
        """True where the name is taken by a weight, by a group, or by what `Module.constant` makes."""
        constant = len(path) == 1 and re.fullmatch(self.word + r"_[0-9]+", path[0]) is not None
        return path in self._leaves or (last and path in self._groups) or constant


def path_to(key: str, root: str = "self") -> str:
    """The Python expression for the weight of a key: ``self.encoder[0].weight``, ``self["onnx::MatMul_12"]``."""
    code = root
    for part in key.split("."):
        if _PLAIN.fullmatch(part) and not keyword.iskeyword(part) and not part.startswith("__"):
            code += f".{part}"
        else:
            code += f"[{part}]" if _INDEX.fullmatch(part) else f"[{literals.text(part)}]"
    return code


def comment(text: str) -> str:
    """What is safe behind a ``#``: empty where the text has other characters than those of usual names."""
    return text if len(text) <= 60 and re.fullmatch(r"[\w.:-]+", text, re.ASCII) else ""
