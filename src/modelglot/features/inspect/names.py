"""What a file's name says, as a hint and no more: base, size, tuning, version, quantization, shard, step.

There is a naming convention for GGUF, which few names follow to the letter; what is read here is what people write.
`check_name` holds the name against what the file has.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from modelglot.features.inspect.name_check import check_name
from modelglot.features.inspect.name_words import SUFFIXES, TUNED, WELL_KNOWN
from modelglot.features.inspect.quantizations import LABELS, QUANTIZATIONS, Quantization

__all__ = ["NameFacts", "check_name", "parse_name"]

_END = r"(?=$|[-._ +])"
_SHARD = re.compile(r"[-_.](\d{1,5})[-_]of[-_](\d{1,5})$", re.I)
_META = re.compile(r"^consolidated\.(\d{2})$")
_STEP = re.compile(r"(?:^|[-_.])(?:global_?)?steps?[=_-]?(\d+)" + _END, re.I)
_EPOCH = re.compile(r"(?:^|[-_.])epochs?[=_-]?(\d+)" + _END, re.I)
_CHECKPOINT = re.compile(r"^(?:checkpoint|ckpt)[-_](\d+)$", re.I)
_GGML = re.compile(
    r"(?:^|[-._ ])(?P<before>(?:UD|i1|imat)[-_])?(?P<label>I?Q[1-8]_K_(?:XXL|XL|L|M|S|XS|XXS)"
    r"|I?Q[1-8]_(?:XXS|XS|XL|S|M|NL)(?:_XL)?|Q[1-8]_K|Q4_0_[48]_[48]|Q[1-8]_[0-3]|TQ[12]_0|MXFP4_MOE|MXFP4|NVFP4|BF16"
    r"|FP?16|FP?32|F64)" + _END,
    re.I,
)
_METHOD = re.compile(
    r"(?:^|[-._ ])(?P<label>GPTQ|AWQ|EXL[23]|NF4|BNB-4BIT|FP8|INT[48]|W4A16|W8A8|W8A16|HQQ|AQLM|QAT|[234568]-?BIT)"
    + _END,
    re.I,
)
_VAGUE = re.compile(r"(?:^|[-._ ])(?P<label>Q[2-8])" + _END, re.I)
_SIZE = re.compile(r"(?:(?P<experts>\d{1,4})x)?(?P<number>\d{1,6}(?:\.\d{1,6})?)(?P<unit>[MBT])", re.I)
_ACTIVE = re.compile(r"A(\d+(?:\.\d+)?)([MB])", re.I)
_EFFECTIVE = re.compile(r"E(\d+(?:\.\d+)?)([MB])", re.I)
_EXPERTS = re.compile(r"\d{1,3}E", re.I)
_CONTEXT = re.compile(r"(\d{1,4})k", re.I)
_VERSION = re.compile(r"v\d+(?:[._]\d+)*[a-z]?", re.I)
_UNITS = {"M": 10**6, "B": 10**9, "T": 10**12}


@dataclass(frozen=True, slots=True)
class NameFacts:
    """What was read in ``name``; None where it does not say. ``parameters`` follows from ``size_label``.

    ``shard`` is (number, count), numbers as in the name; ``labels`` are publishers' own, not llama.cpp's.
    """

    name: str
    base: str | None = None
    size_label: str | None = None
    parameters: int | None = None
    finetune: str | None = None
    version: str | None = None
    context: int | None = None
    quantization: str | None = None
    explanation: Quantization | None = None
    labels: tuple[str, ...] = ()
    shard: tuple[int, int | None] | None = None
    epoch: int | None = None
    step: int | None = None
    what: str | None = None

    @property
    def said(self) -> str:
        """One line for people; empty where the name says nothing."""
        parts = [self.what] if self.what else []
        if self.size_label or self.quantization or self.finetune or self.version:
            parts += [f"base {self.base}"] if self.base else []
        parts += [f"{self.size_label} parameters"] if self.size_label else []
        if self.finetune:
            parts.append(TUNED.get(self.finetune.lower(), f"tuned: {self.finetune}"))
        parts += [f"version {self.version}"] if self.version else []
        parts += [f"context of {self.context // 1024}k tokens"] if self.context else []
        if self.quantization:
            meaning = f": {self.explanation.sentence}" if self.explanation else ""
            parts.append(self.quantization + meaning)
        parts += [LABELS[label] for label in self.labels if label in LABELS]
        if self.shard:
            number, count = self.shard
            parts.append("one file" if count == 1 else f"file {number} of {count}" if count else f"shard {number}")
        parts += [f"epoch {self.epoch:,}"] if self.epoch is not None else []
        parts += [f"step {self.step:,}"] if self.step is not None else []
        return ", ".join(parts)

    def document(self) -> dict[str, Any]:
        """Plain data with what the name says, and ``said``; empty where it says nothing."""
        keys = (
            "what",
            "base",
            "size_label",
            "parameters",
            "finetune",
            "version",
            "context",
            "quantization",
            "epoch",
            "step",
        )
        found = {k: getattr(self, k) for k in keys if getattr(self, k) is not None}
        if self.explanation and self.explanation.bits_per_weight:
            found["bits_per_weight"] = self.explanation.bits_per_weight
        if self.labels:
            found["labels"] = list(self.labels)
        if self.shard:
            found["shard"] = list(self.shard)
        if self.said:
            found["said"] = self.said
        return found


def parse_name(name: str) -> NameFacts:
    """The facts in a file's or folder's name (not its path). Never raises."""
    stem = _stem(name[:512])
    found: dict[str, Any] = {"what": WELL_KNOWN.get(name.lower())}
    stem = _places(stem, found)
    if m := re.match(r"(mmproj|ggml-vocab)[-_](?=.)", stem, re.I):
        kinds = {"mmproj": "the vision or audio part of a model", "ggml-vocab": "a vocabulary without weights"}
        found["what"] = kinds[m[1].lower()]
        stem = stem[m.end() :]
    stem = _quantization(stem, found)
    if not found["what"]:
        _words(stem, found)
    return NameFacts(name, **found)


def _stem(name: str) -> str:
    lower = name.lower()
    for suffix in SUFFIXES:
        if lower.endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name


def _places(stem: str, found: dict[str, Any]) -> str:
    """Shard, epoch and step; the stem without the shard."""
    if m := _SHARD.search(stem):
        found["shard"] = int(m[1]), int(m[2])
        stem = stem[: m.start()]
        if not found["what"]:
            found["what"] = WELL_KNOWN.get(f"{stem.lower()}.safetensors") or WELL_KNOWN.get(f"{stem.lower()}.bin")
    elif m := _META.match(stem):
        found["shard"] = int(m[1]), None
        found["what"] = "original weights as Meta and Mistral publish them, one file a GPU"
    if m := _EPOCH.search(stem):
        found["epoch"] = int(m[1][:18])
    if (m := _STEP.search(stem)) or (m := _CHECKPOINT.match(stem)):
        found["step"] = int(m[1][:18])
    if "=" in stem and "epoch" in found:
        found["what"] = "a checkpoint that PyTorch Lightning named"
    elif _CHECKPOINT.match(stem):
        found["what"] = "a checkpoint of a training run"
    return stem


def _quantization(stem: str, found: dict[str, Any]) -> str:
    """The label nearest the end, normalised; the stem without it."""
    matches = list(_GGML.finditer(stem)) or list(_METHOD.finditer(stem)) or list(_VAGUE.finditer(stem))
    if not matches:
        return stem
    m = matches[-1]
    label = m["label"].upper()
    label = {"FP16": "F16", "FP32": "F32"}.get(label, label if label.startswith("BNB") else label.replace("-", ""))
    labels = []
    before = m.groupdict().get("before")
    if before:
        labels.append({"ud": "UD", "i1": "i1", "imat": "imat"}[before[:-1].lower()])
    known = QUANTIZATIONS.get(label)
    if known is None:
        plain, _, last = label.rpartition("_")
        if last in ("XL", "XXL", "L") and plain:
            labels.append("L" if last == "L" else "XL")
            known = QUANTIZATIONS.get(plain)
    if known and known.base and {"UD", "XL", "L"} & set(labels):
        known = QUANTIZATIONS.get(known.base)  # the publisher's mix is not the recipe's: only the base is known
    found.update(quantization=label, explanation=known, labels=tuple(labels))
    return stem[: m.start()] + stem[m.end() :]


def _words(stem: str, found: dict[str, Any]) -> None:
    """Base before the size, tuning after it; version and context wherever they are."""
    version = re.match(r"v(\d)-(\d)(?=-|$)", stem)
    if version:
        found["version"] = f"{version[1]}.{version[2]}"
        stem = stem[version.end() :].lstrip("-")
    before: list[str] = []
    after: list[str] = []
    joint = "-" if "-" in stem else "_" if "_" in stem else " "
    for word in (w for w in re.split(r"[-_ +]|\.(?=[A-Za-z]{2})", stem) if w):
        sized = _size(word, found)
        if sized:
            continue
        if _VERSION.fullmatch(word) and "version" not in found:
            found["version"] = word
        elif (m := _CONTEXT.fullmatch(word)) and int(m[1]) >= 4:
            found["context"] = int(m[1]) * 1024
        elif _EPOCH.fullmatch(word) or re.fullmatch(r"(epochs?|steps?)=?\d*|[a-z_]+=[\d.e+-]+", word):
            continue
        else:
            (after if "size_label" in found or version else before).append(word)
    if "size_label" not in found and len(before) > 1 and before[-1].lower() in TUNED:
        after = [before.pop()]
    if before and "version" not in found and re.fullmatch(r"\d+\.\d+", before[-1]) and "size_label" not in found:
        found["version"] = before.pop()
    found["base"] = joint.join(before) or None
    found["finetune"] = joint.join(after) or None


def _size(word: str, found: dict[str, Any]) -> bool:
    """Whether a word is (part of) the size: ``7b``, ``8x7B``, ``30B`` followed by ``A3B``, ``16E``."""
    if "size_label" in found:
        if (m := _ACTIVE.fullmatch(word)) or _EXPERTS.fullmatch(word):
            found["size_label"] += f"-{word.upper()}"
            if m is None:  # the size of one expert's path times an unknown share: no total follows
                found["parameters"] = None
            return True
        return False
    if m := _EFFECTIVE.fullmatch(word):
        found.update(size_label=word.upper())
        return True
    m = _SIZE.fullmatch(word)
    if not m:
        return False
    total = float(m["number"]) * _UNITS[m["unit"].upper()] * int(m["experts"] or 1)
    found.update(size_label=word[:-1].lower() + word[-1].upper(), parameters=round(total))
    return True
