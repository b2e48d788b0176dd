"""Parts of a training checkpoint: the model, its moving average, the optimizer. Found in the tree, never guessed from
a single name: a component is a mapping that holds tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from modelglot.core.errors import UnsupportedError, printable
from modelglot.core.model import Model
from modelglot.core.notes import Loss
from modelglot.core.tensor import Tensor
from modelglot.core.tree import Inert, Node, TensorRef, key_text, plain_loss, walk

# Keys under which training code keeps each part, most usual first.
_KEYS = {
    "model": ("state_dict", "model_state_dict", "model", "model_state", "module", "net", "network", "weights", "params",
              "generator", "encoder", "backbone", "state"),
    "ema": ("ema", "ema_state_dict", "model_ema", "ema_model", "state_dict_ema", "params_ema", "averaged_model"),
    "optimizer": ("optimizer", "optimizer_state_dict", "optimizer_states", "optimizer_state", "optim", "optimizers",
                  "opt_state", "opt"),
    "scheduler": ("scheduler", "lr_schedulers", "lr_scheduler", "scheduler_state_dict"),
}  # fmt: skip
_LIT = "model_ema."
_LIT_OWN = ("model_ema.decay", "model_ema.num_updates")
_EMA_PREFIXES = (_LIT, "ema.", "ema_model.")


@dataclass(frozen=True, slots=True)
class Component:
    """``names`` maps each tensor's own name (as its framework's state dict has it) to its key in the model."""

    role: str  # model | ema | optimizer | scheduler | other
    path: str
    names: dict[str, str]
    tree: Any = None


def components(model: Model) -> list[Component]:
    """The parts of a nested checkpoint, in stored order; one `model` for flat files."""
    root = model.tree
    if not isinstance(root, Node) or not root.is_mapping or (_is_state_dict(root) and not _has_parts(root)):
        names = {n: n for n in model.tensors}
        ema = _lit_ema(model.tensors) or {
            n.removeprefix(p): n for p in _EMA_PREFIXES for n in model.tensors if n.startswith(p)
        }
        flat = [Component("model", "", names, root)]
        return [*flat, Component("ema", next(iter(ema.values())).split(".")[0], ema)] if ema else flat
    found = []
    for key, value in root.items:
        if isinstance(value, TensorRef):  # a counter kept as a tensor beside the parts
            continue
        path, part = _inner(key_text(key), value)
        names = dict(_tensor_names(part))
        if names:
            found.append(Component(_role(key_text(key)), path, names, part))
    return _with_one_model(found)


def _lit_ema(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Averages as latent diffusion keeps them, ``model_ema.ab`` of ``model.a.b``: the whole model with those."""
    averages = {n.removeprefix(_LIT): n for n in tensors if n.startswith(_LIT) and n not in _LIT_OWN}
    flat = {n.removeprefix("model.").replace(".", ""): n for n in tensors if n.startswith("model.")}
    if not averages or not averages.keys() <= flat.keys():
        return {}
    place = {flat[short]: name for short, name in averages.items()}
    return {n: place.get(n, n) for n in tensors if not n.startswith(_LIT)}


def _is_state_dict(node: Node) -> bool:
    """Tensors directly under text keys, as ``module.state_dict()`` gives them."""
    return any(isinstance(v, TensorRef) for _, v in node.items)


def _has_parts(root: Node) -> bool:
    """A model among others, although tensors stand beside them, as the step of a training state does."""
    return any(_role(key_text(k)) == "model" and isinstance(v, Node) and _holds_tensors(v) for k, v in root.items)


def _inner(path: str, value: Any) -> tuple[str, Any]:
    """``{"model": {"args": ..., "state_dict": {...}}}``: the state dict, where it is all that holds tensors."""
    while isinstance(value, Node) and value.is_mapping and not _is_state_dict(value):
        inner = [(key_text(k), v) for k, v in value.items if _holds_tensors(v)]
        if len(inner) != 1 or inner[0][0] not in ("state_dict", "model_state_dict", "params", "weights"):
            break
        path, value = f"{path}.{inner[0][0]}", inner[0][1]
    return path, value


def _role(key: str) -> str:
    lowered = key.lower()
    for role, keys in _KEYS.items():
        if lowered in keys:
            return role
    for role in ("ema", "optim", "sched"):
        if role in lowered:
            return {"optim": "optimizer", "sched": "scheduler"}.get(role, role)
    return "other"


def _with_one_model(found: list[Component]) -> list[Component]:
    """Where no key is a usual one, the only part that is not training state is the model."""
    if any(c.role == "model" for c in found):
        return found
    others = [c for c in found if c.role == "other"]
    if len(others) == 1:
        return [replace(c, role="model") if c is others[0] else c for c in found]
    return found


def _tensor_names(value: Any) -> Iterator[tuple[str, str]]:
    """(name below this part, key in the model) of each tensor; whole modules as their state dict names them."""
    for path, leaf in walk(value):
        if isinstance(leaf, TensorRef):
            keys = [key_text(k) for k in path if key_text(k) not in ("_parameters", "_buffers", "_modules")]
            yield ".".join(keys), leaf.name


def choose(model: Model, wanted: str | None) -> tuple[Model, list[Loss], str | None]:
    """The model reduced to one component, what that leaves out, and a sentence on the choice.

    ``wanted`` is a role or a key; None takes the only component of role `model`. Raises UnsupportedError where that
    does not exist or there are several.
    """
    if isinstance(model.tree, Inert):  # a module saved whole: what is left of it is its state dict
        what = f"the object itself (`{printable(model.tree.global_)}`); its tensors are kept as a state dict"
        return replace(model, tree=None), [Loss("python-object", what, stops=False)], "took the module's state dict"
    parts = components(model)
    fitting = [c for c in parts if wanted in (c.role, c.path)] if wanted else [c for c in parts if c.role == "model"]
    if wanted is None and len(fitting) != 1:
        if len(parts) <= 1 or not fitting:
            return _flattened(model)
        raise _ambiguous(parts)
    if not fitting:
        have = ", ".join(f"`{c.path or c.role}`" for c in parts) or "none"
        raise UnsupportedError(
            f"the checkpoint has no component {printable(wanted or '', code=True)}", hint=f"it has {have}"
        )
    if len(fitting) > 1:
        raise _ambiguous(fitting)
    part = fitting[0]
    if not part.path and part.role == "model":
        return _flattened(model)
    kept = {n: _renamed(model.tensors[key], n) for n, key in part.names.items()}
    said = f"took `{part.path}` ({_count(part)}) as the {part.role}"
    return replace(model, tensors=kept, tree=None), list(_left(model, part, parts)), said


def _flattened(model: Model) -> tuple[Model, list[Loss], None]:
    """All tensors under their full names; plain values between them are left out, and said."""
    return replace(model, tree=None), plain_loss(model.tree, stops=False), None


def _count(part: Component) -> str:
    return f"{len(part.names):,} tensor{'s' * (len(part.names) != 1)}"


def _renamed(tensor: Tensor, name: str) -> Tensor:
    return tensor if tensor.name == name else replace(tensor, name=name)


def _left(model: Model, part: Component, parts: list[Component]) -> Iterator[Loss]:
    for other in parts:
        if other is not part and other.path and other.path != part.path:
            yield Loss(
                "component",
                f"`{printable(other.path)}` ({_count(other)})",
                f"`--component {other.path}` takes it",
                stops=False,
            )
    if isinstance(model.tree, Node) and model.tree.is_mapping:
        tensor_keys = {c.path.split(".")[0] for c in parts} | {c.path for c in parts}
        rest = [printable(key_text(k)) for k, _ in model.tree.items if key_text(k) not in tensor_keys]
        if rest:
            more = f" and {len(rest) - 8} more" if len(rest) > 8 else ""
            yield Loss("training-state", f"{', '.join(rest[:8])}{more}", stops=False)


def _ambiguous(parts: list[Component]) -> UnsupportedError:
    listed = ", ".join(f"`{c.path}` ({_count(c)})" for c in parts)
    return UnsupportedError(f"several parts could be meant: {listed}", hint="choose one with `--component NAME`")


def training_state(tree: Any) -> Mapping[str, Any]:
    """Counters, losses, learning rate and the like at the top of a checkpoint: key -> short value."""
    found: dict[str, Any] = {}
    if isinstance(tree, Node) and tree.is_mapping:
        for key, value in tree.items:
            name = key_text(key)
            if isinstance(value, (bool, int, float, str)) or value is None:
                found[name] = value
            elif isinstance(value, Inert):
                found[name] = f"<{value.global_}>"
            elif isinstance(value, Node) and not _holds_tensors(value):
                found[name] = f"{value.kind} of {len(value.items)}"
    return found


def _holds_tensors(value: Any) -> bool:
    return any(isinstance(v, TensorRef) for _, v in walk(value))
