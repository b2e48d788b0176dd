"""The corpus of hostile and benign pickles, through modelglot and through other scanners; and a torch zip of 2 GB.

Other scanners live in virtual environments of their own: `SCAN_PEERS` names the folder with one folder a scanner
(`picklescan`, `modelscan`, `fickling`, `modelaudit`, `hayward`), made by `python -m venv` and `pip install`. Where one
is missing its row is left out. `SCAN_BENIGN` may name a folder of files that real programs wrote. Flagged: said to be
anything but clean; what ended in an error of the scanner, or was not read, is counted apart.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

from bench.measure import PYTHON, pairs

HERE = Path(__file__).parent
PEERS = Path(os.environ.get("SCAN_PEERS", "/tmp/scan_peers"))
sys.path[:0] = [str(HERE.parent / "tests" / "hostile" / "scan")]

# Each prints a JSON object: file name -> "flagged", "clean" or "error".
COMMON = """
import json, os, sys, io, logging, warnings
warnings.simplefilter("ignore"); logging.disable(50)
real, sys.stdout = sys.stdout, io.StringIO()
out = {}
for name in sorted(os.listdir(sys.argv[1])):
    path = os.path.join(sys.argv[1], name)
    try:
        out[name] = check(path)
    except BaseException as error:
        out[name] = "error"
json.dump(out, real); real.flush(); os._exit(0)
"""
READERS = {
    "picklescan": """
from picklescan.scanner import scan_file_path
def check(path):
    r = scan_file_path(path)
    return "flagged" if r.issues_count or r.infected_files else "error" if r.scan_err else "clean"
""",
    "picklescan --strict": """
from picklescan.scanner import scan_file_path
def check(path):
    r = scan_file_path(path, strict=True)
    return "flagged" if r.issues_count or r.infected_files else "error" if r.scan_err else "clean"
""",
    "modelscan": """
from modelscan.modelscan import ModelScan
def check(path):
    r = ModelScan().scan(path)
    return "flagged" if r["summary"]["total_issues"] else "error" if r["errors"] else "clean"
""",
    "fickling": """
from fickling.loader import scan_file, scan_zip_archive
import zipfile
def check(path):
    r = (scan_zip_archive if zipfile.is_zipfile(path) else scan_file)(path, graceful=True)
    return "flagged" if not r.is_safe else "error" if r.errors else "clean"
""",
    "modelaudit": """
from modelaudit.core import scan_model_directory_or_file
def check(path):
    r = scan_model_directory_or_file(path, cache_enabled=False)
    bad = [i for i in r.issues if str(getattr(i.severity, "value", i.severity)) in ("critical", "warning")]
    return "flagged" if bad else "error" if r.has_errors or not r.success else "clean"
""",
    "hayward": """
from hayward import ModelFileScanner, is_coverage_gap
from pathlib import Path
def check(path):
    found = ModelFileScanner().scan_file(Path(path))
    bad = [f for f in found if f.severity.value in ("critical", "high", "medium") and not is_coverage_gap(f)]
    return "flagged" if bad else "error" if any(is_coverage_gap(f) for f in found) else "clean"
""",
}


def run() -> Iterator[dict]:
    with tempfile.TemporaryDirectory() as folder:  # first: a process inherits the memory of this one as its peak
        yield from _large(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        counts = _written(Path(folder))
        yield from _rates(Path(folder), counts)


def _written(folder: Path) -> dict[str, int]:
    import pickle_corpus as corpus

    kinds = {"malicious": corpus.malicious(), "benign": corpus.plain()}
    counts = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for kind, samples in kinds.items():
            (folder / kind).mkdir()
            for number, sample in enumerate(samples):
                (folder / kind / f"{number:05}{sample.suffix}").write_bytes(sample.data)
                counts[kind] = number + 1
    extra = os.environ.get("SCAN_BENIGN")  # a folder of files that real programs wrote
    if extra:
        for number, path in enumerate(sorted(p for p in Path(extra).rglob("*") if p.is_file())):
            (folder / "benign" / f"real{number:05}{path.suffix}").symlink_to(path)
            counts["benign"] += 1
    return counts


def _rates(folder: Path, counts: dict[str, int]) -> Iterator[dict]:
    rows = {"modelglot": {kind: _ours(folder / kind) for kind in counts}}
    for name, reader in READERS.items():
        python = PEERS / name.split()[0] / "bin" / "python"
        if python.exists():
            rows[name] = {kind: _theirs(python, reader, folder / kind) for kind in counts}
    for name, found in rows.items():
        bad, good = found["malicious"], found["benign"]
        flagged, errors = bad.count("flagged") / len(bad), bad.count("error") / len(bad)
        alarms = good.count("flagged") / len(good)
        yield {
            "case": name, "version": _version(name), "malicious": len(bad), "benign": len(good),
            "flagged": round(flagged, 4), "only_an_error": round(errors, 4), "missed": bad.count("clean"),
            "false_alarms": round(alarms, 4), "benign_errors": good.count("error"),
            "ok": name != "modelglot" or (flagged == 1 and alarms == 0),
            "measured": f"{flagged:.1%} flagged, {errors:.1%} only an error, {bad.count('clean')} missed, "
            f"{alarms:.1%} false alarms",
            "bar": "modelglot: 100 % flagged, 0 % false alarms",
        }  # fmt: skip


def _ours(folder: Path) -> list[str]:
    code = (
        "import json, sys; from modelglot.api.scanning import scan; r = scan(sys.argv[1]);"
        "print(json.dumps(['clean' if f.verdict == 'safe' else 'flagged' if f.verdict == 'unsafe' or not sys.argv[2:]"
        " else 'clean' for f in r.files]))"
    )
    more = ["benign"] if folder.name == "benign" else []  # `unknown` names code that is needed: no alarm
    found = subprocess.run([PYTHON, "-c", code, str(folder), *more], capture_output=True, check=True)
    return list(json.loads(found.stdout))


def _theirs(python: Path, reader: str, folder: Path) -> list[str]:
    env = {**os.environ, "PROMPTFOO_DISABLE_TELEMETRY": "1", "NO_ANALYTICS": "1"}
    found = subprocess.run([python, "-c", reader + COMMON, str(folder)], capture_output=True, check=True, env=env)
    return list(json.loads(found.stdout[found.stdout.index(b"{") :]).values())


def _version(name: str) -> str:
    if name == "modelglot":
        import modelglot

        return modelglot.__version__
    pip = [PEERS / name.split()[0] / "bin" / "pip", "show", name.split()[0]]
    shown = subprocess.run(pip, capture_output=True, text=True, check=True).stdout
    return shown.split("Version: ")[1].split()[0]


def _large(folder: Path) -> Iterator[dict]:
    """A torch zip of 2 GB, 500 tensors; whole commands. Neither reads the tensors: what is left is how they start."""
    picklescan = PEERS / "picklescan" / "bin" / "picklescan"
    if not picklescan.exists():
        return
    path = folder / "large.pt"
    _checkpoint(path, 500, 4 << 20)
    row = pairs([PYTHON, "-m", "modelglot", "scan", str(path)], [str(picklescan), "--path", str(path)], runs=3)
    yield {
        "case": "a torch zip of 2 GB against picklescan",
        **row,
        "ok": row["ratio"] >= 10 and row["ours"]["peak_mb"] <= 64,
        "measured": f"{row['ratio']} times as fast, {row['ours']['peak_mb']} MB",
        "bar": ">= 10 times, <= 64 MB",
    }


def _checkpoint(path: Path, tensors: int, size: int) -> None:
    one = (
        b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX%c\0\0\0%sX\x03\0\0\0cpuJ%stQ"
        b"K\0J%s\x85K\1\x85\x89ccollections\nOrderedDict\n)RtR"
    )
    count = (size // 4).to_bytes(4, "little")
    items = b"".join(
        b"X\x08\0\0\0w%07d" % number + one % (len(str(number)), str(number).encode(), count, count)
        for number in range(tensors)
    )
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("large/data.pkl", b"\x80\x02}(" + items + b"u.")
        made.writestr("large/version", b"3\n")
        for number in range(tensors):
            made.writestr(f"large/data/{number}", os.urandom(64) * (size // 64))
