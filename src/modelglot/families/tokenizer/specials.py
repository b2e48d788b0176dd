"""Special tokens, whether they are added, and chat templates, as GGUF's metadata has them."""

from __future__ import annotations

from string import ascii_letters, digits
from typing import Any

from modelglot.core.metadata import Entry
from modelglot.families.tokenizer.folder import Folder

# role in Hugging Face's files -> key of GGUF (whose spelling of the separator is part of the format)
IDS = {
    "bos": "bos_token_id", "eos": "eos_token_id", "unk": "unknown_token_id", "sep": "seperator_token_id",
    "pad": "padding_token_id", "cls": "cls_token_id", "mask": "mask_token_id", "eot": "eot_token_id",
    "eom": "eom_token_id", "prefix": "prefix_token_id", "suffix": "suffix_token_id", "middle": "middle_token_id",
}  # fmt: skip
ROLES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
PREFIX = "tokenizer.ggml."


def entries(folder: Folder, size: int | None = None) -> dict[str, Entry]:
    """Ids, ``add_*`` flags and chat templates. Ids of ``size`` and above are left out."""
    found = _Specials(folder, size)
    made = {PREFIX + IDS[role]: Entry(number, "u32") for role, number in found.ids.items() if role in IDS}
    made.pop(PREFIX + "cls_token_id", None)  # not a key of GGUF: the classifier token is its `bos`
    made |= {f"{PREFIX}add_{role}_token": Entry(value, "bool") for role, value in found.added.items()}
    return made | chat_templates(folder)


class _Specials:
    """tokenizer_config.json names the tokens, tokenizer.json has their ids and where they are added."""

    def __init__(self, folder: Folder, size: int | None) -> None:
        self.size = size
        self.ids: dict[str, int] = {}
        self.added: dict[str, bool] = {}
        self.tokens = {role: _content(folder.settings.get(f"{role}_token")) for role in (*ROLES, "eot", "eom")}
        self.roles = list(ROLES)
        if folder.tokenizer:
            self.tokens["bos"] = self.tokens["bos"] or self.tokens["cls"]
            self.tokens["eos"] = self.tokens["eos"] or self.tokens["sep"]
            self._processors(folder.tokenizer.get("post_processor"))
        if folder.settings or not folder.tokenizer:
            self._settings(folder)
        for role in self.roles:
            self._set(role, folder.config.get(f"{role}_token_id"))
            inner = folder.config.get("text_config")
            self._set(role, inner.get(f"{role}_token_id") if isinstance(inner, dict) else None)

    def _settings(self, folder: Folder) -> None:
        numbers = {t.get("content"): t.get("id") for t in reversed(folder.tokenizer.get("added_tokens") or [])}
        for role in self.roles:
            flag = folder.settings.get(f"add_{role}_token")
            if isinstance(flag, bool):
                self.added.setdefault(role, flag)
            self._set(role, numbers.get(self.tokens[role]) if self.tokens[role] else None)

    def _set(self, role: str, number: Any) -> None:
        whole = isinstance(number, int) and not isinstance(number, bool) and number >= 0
        if whole and (self.size is None or number < self.size):
            self.ids.setdefault(role, number)

    def _processors(self, whole: Any) -> None:
        for step in (whole or {}).get("processors", [whole] if whole else []):
            kind = step.get("type")
            if kind == "ByteLevel":
                self.added.setdefault("bos", False)
                self.added.setdefault("eos", False)
            elif kind == "RobertaProcessing":
                self.added |= {"bos": True, "eos": True, "sep": True}
                self.tokens["cls"] = self.tokens["cls"] or (step.get("cls") or [None])[0]
                self.tokens["sep"] = self.tokens["sep"] or (step.get("sep") or [None])[0]
            elif kind == "TemplateProcessing":
                self._template(step)

    def _template(self, step: dict[str, Any]) -> None:
        """``[CLS] A [SEP]``: what stands before and behind the text is the bos and the eos that are added."""
        single, pair = step.get("single") or [], step.get("pair") or []
        first = last = None
        if len(single) > 1:
            first, last = (_special(single[n]) for n in (0, -1))
            if first:
                known = (self.tokens["bos"], self.tokens["cls"])
                if first not in known:
                    self.tokens["bos"] = self.tokens["bos"] or first
                    self.tokens["cls"] = self.tokens["cls"] or first
                self.added["bos"] = first in (self.tokens["bos"], self.tokens["cls"])
            if last:
                if last != self.tokens["eos"]:  # the one in the settings ends a turn, this one ends the text
                    role = "eot" if "eot" not in self.roles else "eom"
                    self.roles.append(role)
                    self.tokens[role], self.tokens["eos"] = self.tokens["eos"], last
                self.added["eos"] = True
        if pair:
            self._pair(pair, first, last)

    def _pair(self, pair: list[Any], first: str | None, last: str | None) -> None:
        """A separator is added where one stands between the two texts."""
        start = 1 if first and _special(pair[0]) == first else 0
        stop = -1 if last and _special(pair[-1]) == last else len(pair)
        inner = pair[start:stop]
        ends = [p.get("Sequence", {}).get("id") for p in (inner[0], inner[-1])] if inner else []
        between = [_special(p) for p in inner[1:-1]]
        if ends != ["A", "B"] or not between:
            return
        separators = (self.tokens["sep"], self.tokens["eos"])
        add = (between[0] in separators and not last) or (len(between) == 2 and between[1] in separators)
        self.added["sep"] = add
        if add and not self.tokens["sep"]:
            self.tokens["sep"] = self.tokens["eos"]


def _special(piece: Any) -> str | None:
    found = piece.get("SpecialToken", {}).get("id") if isinstance(piece, dict) else None
    return found if isinstance(found, str) else None


def _content(value: Any) -> str | None:
    text = value.get("content") if isinstance(value, dict) else value
    return text if isinstance(text, str) else None


def chat_templates(folder: Folder) -> dict[str, Entry]:
    """The default one under ``tokenizer.chat_template``, named ones under ``tokenizer.chat_template.NAME``."""
    found = folder.settings.get("chat_template") or _beside(folder)
    if isinstance(found, str):
        return {"tokenizer.chat_template": Entry(found, "str")}
    if not isinstance(found, list):
        return {}
    made: dict[str, Entry] = {}
    default, names = None, []
    for choice in found:
        name, template = (choice.get("name"), choice.get("template")) if isinstance(choice, dict) else (None, None)
        if not isinstance(name, str) or not isinstance(template, str):
            continue
        plain = "".join(c if c in ascii_letters + digits else "_" for c in name)
        if plain == "default":
            default = template
        else:
            names.append(plain)
            made[f"tokenizer.chat_template.{plain}"] = Entry(template, "str")
    if names:
        made["tokenizer.chat_templates"] = Entry(names, "array[str]")
    if default is not None:
        made["tokenizer.chat_template"] = Entry(default, "str")
    return made


def _beside(folder: Folder) -> Any:
    """From the files of their own: chat_template.jinja with additional_chat_templates/, or chat_template.json."""
    plain = folder.text("chat_template.jinja")
    if plain is None:
        return folder.json("chat_template.json").get("chat_template")
    more = sorted(n for n in folder.names if n.startswith("additional_chat_templates/") and n.endswith(".jinja"))
    if not more:
        return plain
    named = [{"name": n.split("/")[-1].removesuffix(".jinja"), "template": folder.text(n)} for n in more]
    return [{"name": "default", "template": plain}, *named]
