"""CPython's two unpicklers over streams from stdin, with every global replaced by a dummy: which globals they ask for.

A process of its own with little memory: the machine in C takes what a stream tells it to.
"""

import io
import json
import pickle
import resource
import struct
import sys


class Dummy:
    """Anything: an instance of it, its class, a function, a container."""

    def __new__(cls, *args, **kwargs):
        return object.__new__(cls)

    def __init__(self, *args, **kwargs):
        pass

    def __call__(self, *args, **kwargs):
        return Dummy()

    def append(self, value): ...
    def extend(self, values): ...
    def add(self, value): ...
    def __setitem__(self, key, value): ...


def asked(base, stream):
    found = []

    class Machine(base):
        def find_class(self, module, name):
            found.append(f"{module}.{name}")
            return type("Made", (Dummy,), {})

        def persistent_load(self, pid):
            return Dummy()

    machine = Machine(io.BytesIO(stream))
    for _ in range(30):  # streams after one another
        try:
            machine.load()
        except Exception:
            break
    return found


def main():
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    sys.setrecursionlimit(2000)
    data = sys.stdin.buffer.read()
    at, out = 0, []
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        stream = data[at + 4 : at + 4 + length]
        at += 4 + length
        out.append(sorted({*asked(pickle._Unpickler, stream), *asked(pickle.Unpickler, stream)}))
    json.dump(out, sys.stdout)


if __name__ == "__main__":
    main()
