"""Build hook: compiles the arithmetic kernels, one shared library an instruction set, where a C++ compiler is found.

A wheel with them is tagged ``py3-none-PLATFORM``. Without a compiler, or where it fails, the wheel is pure Python and
the numpy versions of the kernels do the work: an install never fails for want of a compiler. ``CXX`` names another
compiler; ``MODELGLOT_NO_NATIVE=1`` leaves the kernels out.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# No fused multiply-add and no reassociation, ever: the bytes of quantized blocks depend on it.
FLAGS = ["-O3", "-std=c++17", "-fPIC", "-shared", "-fvisibility=hidden", "-ffp-contract=off", "-fno-math-errno",
         "-fno-trapping-math", "-fno-strict-aliasing", "-fno-exceptions", "-fno-rtti", "-Wno-psabi"]  # fmt: skip
X86 = {
    "baseline": ["-march=x86-64"],
    "avx2": ["-mavx2", "-mf16c", "-mfma", "-mtune=haswell"],
    "avx512": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx2", "-mf16c", "-mfma"],
}


def levels() -> dict[str, list[str]]:
    """Instruction sets to build for on this machine, and their compiler flags."""
    return X86 if platform.machine().lower() in ("x86_64", "amd64") else {"baseline": []}


def compilers() -> list[list[str]]:
    """Commands to try, in order."""
    if "CXX" in os.environ:
        return [shlex.split(os.environ["CXX"])]
    found = [[name] for name in ("g++", "clang++", "c++") if shutil.which(name)]
    if importlib.util.find_spec("ziglang"):
        found.append([sys.executable, "-m", "ziglang", "c++"])
    return found


def platform_flags() -> list[str]:
    if sys.platform == "darwin":
        return ["-mmacosx-version-min=11.0"]
    return ["-Wl,--as-needed", "-lm"] if sys.platform.startswith("linux") else []


def wheel_tag() -> str:
    if sys.platform == "darwin":
        return f"py3-none-macosx_11_0_{platform.machine()}"
    return "py3-none-" + sysconfig.get_platform().replace("-", "_").replace(".", "_")


def build(compiler: list[str], source: Path, target: Path, flags: list[str]) -> str:
    """Compile one library; the empty string, or what went wrong."""
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    command = [*compiler, *FLAGS, *flags, str(source), "-o", str(part), *platform_flags()]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode or not part.exists():
        part.unlink(missing_ok=True)
        return (done.stderr.strip() or f"exit {done.returncode}")[-2000:]
    part.replace(target)  # a running process keeps the old file
    return ""


def compile_kernels(root: Path, say: Any) -> bool:
    """Bring ``kernels/_native`` up to date; True where at least the baseline library is there."""
    source, target = root / "src/modelglot/kernels/native", root / "src/modelglot/kernels/_native"
    wanted = levels()
    digest = hashlib.sha256(repr((FLAGS, wanted, platform_flags())).encode())
    for path in sorted(source.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    stamp = target / "stamp"
    libraries = {level: target / f"kernels_{level}.so" for level in wanted}
    if stamp.exists() and stamp.read_text() == digest.hexdigest() and all(p.exists() for p in libraries.values()):
        return True
    target.mkdir(exist_ok=True)
    for path in target.iterdir():
        path.unlink()
    for compiler in compilers():
        with ThreadPoolExecutor(2) as pool:
            jobs = {v: pool.submit(build, compiler, source / "kernels.cpp", libraries[v], wanted[v]) for v in wanted}
            failed = {level: why for level, job in jobs.items() if (why := job.result())}
        for level, why in failed.items():
            say(f"modelglot: the {level} kernels were not built by `{shlex.join(compiler)}`: {why}")
        if "baseline" not in failed:
            if not failed:
                stamp.write_text(digest.hexdigest())
            return True
    return False


class KernelsHook(BuildHookInterface):
    """Adds the compiled kernels to a wheel, also to an editable one."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        if os.environ.get("MODELGLOT_NO_NATIVE", "0") != "0":
            shutil.rmtree(Path(self.root, "src/modelglot/kernels/_native"), ignore_errors=True)
            return
        try:
            built = compile_kernels(Path(self.root), self.app.display_warning)
        except OSError as error:  # a read-only source tree, a full disk
            self.app.display_warning(f"modelglot: {error}")
            built = False
        if not built:
            self.app.display_warning(
                "modelglot: no C++ compiler that works; installing without compiled kernels (slower quantizing)"
            )
            return
        build_data["pure_python"] = False
        build_data["tag"] = wheel_tag()
        build_data["artifacts"].append("src/modelglot/kernels/_native/*.so")
