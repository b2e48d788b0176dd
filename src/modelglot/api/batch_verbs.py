"""What a job of a batch may do: the verbs, the arguments they take, and what came of one as plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from inspect import Parameter, signature
from typing import Any

from modelglot.core.limits import Limits

_NOT_GIVEN = frozenset(["on_event", "wishes", "choices", "executor"])  # objects, and what may run code


@dataclass(frozen=True, slots=True)
class Verb:
    """``module`` of `modelglot.api` has the function ``name``; ``plan`` is the one whose keywords it takes besides.

    ``inputs`` and ``output`` are the arguments that are paths. ``told`` makes the result: plain data, and why the
    answer is no, if it is.
    """

    name: str
    module: str
    inputs: tuple[str, ...]
    told: Callable[[Any], tuple[dict[str, Any], str | None]]
    output: str | None = None
    plan: str | None = None

    @property
    def function(self) -> Callable[..., Any]:
        found: Callable[..., Any] = getattr(self._loaded(), self.name)
        return found

    def _loaded(self) -> Any:
        return import_module(f"modelglot.api.{self.module}")

    def arguments(self) -> tuple[frozenset[str], frozenset[str]]:
        """Names that a job may give, and those that it must."""
        known = dict(signature(self.function).parameters)
        if self.plan is not None:
            known |= signature(getattr(self._loaded(), self.plan)).parameters
        names = frozenset(known) - _NOT_GIVEN
        return names, frozenset(n for n in names if known[n].default is Parameter.empty)

    def run(self, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
        """Raises what the function raises."""
        given = dict(arguments)
        receipt = given.pop("receipt", None) if self.output else None
        if "limits" in given:
            given["limits"] = Limits(**given["limits"])
        made = self.function(**given)
        if receipt is not None:
            from modelglot.api.receipts import write_receipt

            write_receipt(made, receipt)
        return self.told(made)


def _written(receipt: Any) -> tuple[dict[str, Any], str | None]:
    losses = [loss.what for loss in receipt.plan.losses]
    return {"outputs": list(receipt.outputs), "bytes": receipt.nbytes, "losses": losses}, None


def _scanned(report: Any) -> tuple[dict[str, Any], str | None]:
    bad = [f.path for f in report.files if f.verdict == "unsafe"]
    said = {"verdict": report.verdict, "incomplete": report.incomplete, "files": len(report.files), "unsafe": bad}
    return said, f"{len(bad):,} unsafe, such as `{bad[0]}`" if bad else None


def _verified(report: Any) -> tuple[dict[str, Any], str | None]:
    wrong = [check.what for check in report.checks if check.state == "wrong"]
    return {"ok": report.ok, "wrong": wrong}, wrong[0] if wrong else None


def _diffed(report: Any) -> tuple[dict[str, Any], str | None]:
    said = {"same": report.same, "equal": report.equal, "changed": len(report.changed)}
    return said, None if report.same else "they are not the same"


VERBS = {
    verb.name: verb
    for verb in (
        Verb("convert", "converting", ("source", "template"), _written, "target", "make_plan"),
        Verb("quantize", "quantizing", ("source", "imatrix"), _written, "target", "make_quantize_plan"),
        Verb("pack", "packing", ("source",), _written, "out", "make_pack_plan"),
        Verb("scan", "scanning", ("paths",), _scanned),
        Verb("verify", "verifying", ("path", "receipt"), _verified),
        Verb("digest", "comparing", ("path",), lambda found: ({"digest": found.total}, None)),
        Verb("diff", "comparing", ("left", "right"), _diffed),
    )
}
WRITES = frozenset(["receipt", "threads"])  # what a writing verb takes besides its function's own arguments
