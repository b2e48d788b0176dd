"""A table of jobs in TOML, checked as a whole before anything runs."""

from __future__ import annotations

import glob
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from modelglot.api.batch_verbs import VERBS, Verb
from modelglot.core.errors import CannotOpenError, InvalidFileError, printable
from modelglot.core.limits import Limits
from modelglot.features.catalog.pattern import Pattern, fixed_part, hidden
from modelglot.sources.file import reason
from modelglot.sources.opening import base_name, is_folder, is_remote
from modelglot.sources.remote.listing import Listing

_TOP = {"job", "defaults"}


@dataclass(frozen=True, slots=True)
class Job:
    """One call: ``arguments`` are those of the verb's function, with absolute paths. ``key`` tells it from others."""

    name: str
    verb: str
    arguments: Mapping[str, Any]
    inputs: tuple[str, ...]
    output: str | None

    @property
    def made(self) -> tuple[str, ...]:
        """What it writes: the target, and the receipt of that."""
        if self.output is None:
            return ()
        return (self.output, *([self.arguments["receipt"]] if "receipt" in self.arguments else []))

    @property
    def key(self) -> str:
        """What was asked for, whatever it is called and however fast it shall be done."""
        asked = {k: v for k, v in self.arguments.items() if k not in ("threads", "jobs", "force", "resume")}
        return blake2b(json.dumps([self.verb, asked], sort_keys=True, default=str).encode(), digest_size=16).hexdigest()


def read_jobs(path: str) -> list[Job]:
    """The jobs of a file, those of a pattern one by one.

    ``[defaults]`` are arguments of every job whose verb takes them. Paths count from the file's folder. A ``source``
    with ``*`` is a job for each path that fits, in a bucket too; its target has ``{name}``, ``{stem}``, ``{parent}`` or
    ``{below}``. Raises CannotOpenError, also for a store that cannot be listed, and InvalidFileError with the job that
    is wrong.
    """
    try:
        with open(path, "rb") as file:
            table = tomllib.load(file)
    except OSError as error:
        raise CannotOpenError(f"cannot open: {reason(error)}", path=path) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidFileError(f"is not TOML: {error}", path=path) from None
    entries, defaults = table.get("job", []), table.get("defaults", {})
    unknown = set(table) - _TOP
    if unknown or not isinstance(entries, list) or not isinstance(defaults, dict):
        what = printable(next(iter(unknown)), code=True) if unknown else "`job` or `defaults`"
        raise InvalidFileError(
            f"{what} is not what a table of jobs has", path=path, hint="write `[[job]]`, `[defaults]`"
        )
    folder = os.path.dirname(os.path.abspath(path))
    jobs: list[Job] = []
    for number, entry in enumerate(entries, 1):
        try:
            jobs += _jobs(entry, defaults, folder)
        except _Wrong as error:
            raise InvalidFileError(f"job {number}: {error}", path=path, hint=error.hint) from None
    _check_outputs(jobs, path)
    return jobs


class _Wrong(Exception):
    def __init__(self, what: str, hint: str | None = None) -> None:
        super().__init__(what)
        self.hint = hint


def _jobs(entry: Any, defaults: Mapping[str, Any], folder: str) -> Iterator[Job]:
    if not isinstance(entry, dict):
        raise _Wrong("is not a table")
    given = dict(entry)
    name, text = given.pop("name", None), given.pop("verb", None)
    verb = VERBS.get(text) if isinstance(text, str) else None
    if verb is None:
        shown = printable(str(text), code=True)
        raise _Wrong(f"there is no verb {shown}" if text else "has no `verb`", f"one of {', '.join(VERBS)}")
    known, needed = verb.arguments()
    known |= {"receipt"} if verb.output else set()
    arguments = {key: value for key, value in defaults.items() if key in known} | given
    for key in arguments:
        if key not in known:
            raise _Wrong(f"`{verb.name}` takes no {printable(key, code=True)}", f"it takes {', '.join(sorted(known))}")
    for key in sorted(needed - set(arguments)):
        raise _Wrong(f"`{verb.name}` needs `{key}`")
    _check_limits(arguments)
    for one in _expanded(arguments, verb, folder):
        yield _job(name, verb, one, folder)


def _check_limits(arguments: Mapping[str, Any]) -> None:
    limits = arguments.get("limits", {})
    for key, value in limits.items() if isinstance(limits, dict) else [("limits", limits)]:
        if key not in Limits.__dataclass_fields__ or type(value) is not int:
            raise _Wrong(
                f"{printable(str(key), code=True)} is no limit", f"one of {', '.join(Limits.__dataclass_fields__)}"
            )


def _job(name: Any, verb: Verb, arguments: dict[str, Any], folder: str) -> Job:
    for key in (*verb.inputs, verb.output, "receipt"):
        if key in arguments:
            arguments[key] = _placed(arguments[key], folder, key)
    inputs = [arguments[key] for key in verb.inputs if key in arguments]
    flat = tuple(p for given in inputs for p in (given if isinstance(given, list) else [given]))
    output = arguments[verb.output] if verb.output else None
    said = f"{verb.name} {base_name(flat[0])}" + (f" -> {base_name(output)}" if output else "")
    return Job(str(name) if name is not None else said, verb.name, arguments, flat, output)


def _placed(value: Any, folder: str, key: str) -> Any:
    if isinstance(value, list):
        return [_placed(one, folder, key) for one in value]
    if not isinstance(value, str) or not value:
        raise _Wrong(f"`{key}` is a path")
    if is_remote(value):
        return value
    end = os.sep if value.endswith("/") else ""  # a folder, where one has to be made
    return os.path.normpath(os.path.join(folder, os.path.expanduser(value))) + end


def _expanded(arguments: dict[str, Any], verb: Verb, folder: str) -> Iterator[dict[str, Any]]:
    """Itself, or one for each path that its first input fits."""
    main = verb.inputs[0]
    pattern = arguments[main]
    if not isinstance(pattern, str) or "*" not in pattern:
        yield arguments
        return
    if not is_remote(pattern):
        pattern = os.path.join(folder, os.path.expanduser(pattern))
    found = _listed(pattern) if is_remote(pattern) else sorted(glob.glob(pattern, recursive=True))
    if not found:
        raise _Wrong(f"nothing fits {printable(pattern, code=True)}")
    root = fixed_part(pattern)
    for path in found:
        place, _, base = path.rstrip("/").rpartition("/")
        stem = base if is_folder(path) else base.rpartition(".")[0] or base
        words = {"{name}": base, "{stem}": stem, "{parent}": place.rpartition("/")[2]}
        below = place[len(root) :].strip("/")
        words |= {"{below}/": f"{below}/" if below else "", "{below}": below}
        yield {key: path if key == main else _filled(value, words) for key, value in arguments.items()}


def _listed(pattern: str) -> list[str]:
    """Objects of a store that fit; folders where the pattern ends with a slash. Raises CannotOpenError."""
    made = Pattern(pattern)
    folders = Listing.of([made.root]).folders
    if pattern.endswith("/"):
        return sorted(f"{url}/" for url in folders if made.fits(url, folder=True) and not hidden(url, made.root))
    urls = (f"{url}/{name}" for url, folder in folders.items() for name in folder.files)
    return sorted(url for url in urls if made.fits(url) and not hidden(url, made.root))


def _filled(value: Any, words: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for word, text in words.items():
            value = value.replace(word, text)
    return value


def _check_outputs(jobs: list[Job], path: str) -> None:
    seen: dict[str, str] = {}
    for job in jobs:
        if job.output is None:
            continue
        place = job.output.rstrip("/")
        if place in seen:
            other = printable(seen[place], code=True)
            raise InvalidFileError(
                f"{other} and {printable(job.name, code=True)} write the same target",
                path=path,
                detail=printable(place),
                hint="with a pattern, the target needs `{stem}` or `{name}`, with `**` also `{below}`",
            )
        seen[place] = job.name
