# ruff: noqa: E501
"""The corpus of hostile, malformed and benign pickles: generated, never loaded. `Sample.cause` is what must be named."""

import gzip
import pickle
import random
import zipfile
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass

import pickle_containers as c
import pickle_shapes as s
from pickle_containers import CONTAINERS
from pickle_shapes import SHAPES


@dataclass(frozen=True)
class Sample:
    name: str
    data: bytes
    cause: str = ""  # in the text or the rule of a finding
    suffix: str = ".bin"


TARGETS = [("os", "system", "id"), ("builtins", "exec", "1"), ("evil_package.sub", "run", "x")]

_GLOBALS = """
os.system os.popen os.execv os.spawnl os.remove os.unlink os.rmdir os.rename os.putenv os.fork os.kill os.chmod
os.symlink posix.system nt.system subprocess.Popen subprocess.run subprocess.call subprocess.check_call
subprocess.check_output subprocess.getoutput subprocess.getstatusoutput commands.getoutput builtins.eval builtins.exec
builtins.compile builtins.open builtins.__import__ builtins.setattr builtins.delattr builtins.globals
builtins.breakpoint builtins.input builtins.map builtins.filter __builtin__.eval __builtin__.exec __builtin__.execfile
__builtin__.apply __builtin__.file __builtin__.reload __builtin__.open pickle.loads pickle.load _pickle.loads
_pickle.Unpickler cPickle.loads marshal.loads types.CodeType types.FunctionType types.ModuleType
importlib.import_module importlib.__import__ imp.load_source imp.load_dynamic runpy.run_path runpy.run_module
runpy._run_code pty.spawn code.interact code.InteractiveInterpreter codeop.compile_command bdb.Bdb pdb.run pdb.Pdb
cProfile.run cProfile.runctx profile.run trace.Trace timeit.timeit timeit.main timeit.Timer doctest.debug_script
socket.socket socket.create_connection ssl.get_server_certificate urllib.request.urlopen urllib.request.urlretrieve
urllib.urlopen urllib2.urlopen http.client.HTTPConnection httplib.HTTPConnection ftplib.FTP smtplib.SMTP poplib.POP3
imaplib.IMAP4 telnetlib.Telnet xmlrpc.client.ServerProxy socketserver.TCPServer requests.get requests.post
requests.api.get httpx.get aiohttp.ClientSession webbrowser.open antigravity.fly ctypes.CDLL ctypes.cdll.LoadLibrary
_ctypes.dlopen shutil.rmtree shutil.copy shutil.move shutil.make_archive tempfile.mkstemp glob.glob fileinput.input
io.open _io.FileIO io.FileIO codecs.open linecache.getline zipimport.zipimporter pkgutil.get_loader pydoc.pipepager
pydoc.locate sys.exit sys.setrecursionlimit sys.settrace sys.modules.update signal.alarm signal.raise_signal
threading.Thread _thread.start_new_thread multiprocessing.Process asyncio.run asyncio.create_subprocess_shell
concurrent.futures.ThreadPoolExecutor atexit.register gc.get_objects sqlite3.connect shelve.open dbm.open tarfile.open
zipfile.ZipFile venv.create ensurepip.bootstrap pip.main pip._internal.main setuptools.sandbox.run_setup
distutils.spawn.spawn distutils.file_util.write_file unittest.main idlelib.autocomplete.AutoComplete
idlelib.pyshell.ModifiedInterpreter lib2to3.pgen2.grammar.Grammar logging.config.listen logging.FileHandler
functools.reduce itertools.starmap torch.load torch.jit.load torch.hub.load torch.hub.load_state_dict_from_url
torch.storage._load_from_bytes torch.serialization.load torch.utils._config_module.ConfigModule.load_config
torch.jit.unsupported_tensor_ops.execWrapper torch.serialization.os.system torch.utils.cpp_extension.load_inline
torch._inductor.codecache.compile_file torch.package.PackageImporter torch.ops.load_library torch.from_file
torch.utils.bottleneck.__main__.run_cprofile numpy.load numpy.memmap numpy.fromfile numpy.loadtxt numpy.savetxt
numpy.testing._private.utils.runstring numpy.f2py.compile numpy.distutils.exec_command.exec_command
numpy.core.os.system joblib.load joblib.Parallel pandas.read_pickle pandas.eval pandas.read_csv
pandas.io.common.os.system dill.loads dill.load cloudpickle.loads cloudpickle.cloudpickle._make_function
jsonpickle.decode yaml.load yaml.unsafe_load hydra.utils.instantiate keras.models.load_model transformers.pipeline
sympy.sympify numexpr.evaluate PIL.Image.open scipy.io.loadmat sklearn.datasets.fetch_openml
huggingface_hub.hf_hub_download jinja2.Template paramiko.SSHClient boto3.client psutil.Process cffi.FFI mmap.mmap
resource.setrlimit inspect.getsource ast.literal_eval tracemalloc.start torch.fx.graph_module.reduce_graph_module
torch.fx.graph_module._forward_from_src scipy.stats._continuous_distns.norm_gen models.yolo.Model my_code.Net
__main__.Model __main__.payload anything.at.all numpy.x_unknown torch.nn.modules.linear.UnknownLayer
collections.OrderedDict.__class__ collections.OrderedDict.fromkeys torch.nn.Module.__init__
builtins.object.__subclasses__ builtins.str.format builtins.dict.__class__.__base__
transformers.AutoModel.from_pretrained sklearn.pipeline.Pipeline.fit ultralytics.nn.tasks.attempt_load_weights
"""
GLOBALS = _GLOBALS.split()

# Streams of their own: what must be found, and the bytes.
ALONE = {
    "EXT1": ("copyreg.extension_1", b"\x80\x02\x82\x01)R."),
    "EXT2": ("copyreg.extension_300", b"\x80\x02\x83\x2c\x01)R."),
    "EXT4": ("copyreg.extension_70000", b"\x80\x02\x84\x70\x11\x01\0)R."),
    "a computed name": ("pickle-trick", b"\x80\x04" + s.acts("builtins", "str", "os") + s.text("system") + b"\x93" + s.text("id") + b"\x85R."),
    "a computed attribute": ("pickle-trick", b"\x80\x04" + s.text("os") + s.acts("builtins", "str", "system") + b"\x93)R."),
    "getattr of a computed name": ("getattr", s.named("builtins", "getattr") + s.named("torch", "Tensor") + s.acts("builtins", "str", "x") + b"\x86R."),
    "getattr of insides": ("__class__", s.named("builtins", "getattr") + s.named("torch", "Tensor") + s.text("__class__") + b"\x86R."),
    "getattr, harmless first": ("__globals__", s.named("builtins", "getattr") + s.named("torch", "Tensor") + s.text("add") + b"\x86R0"
        + s.named("builtins", "getattr") + s.named("torch", "Tensor") + s.text("__globals__") + b"\x86R."),
    "getattr to a call": ("pickle-trick", s.named("builtins", "getattr") + s.named("torch", "Tensor") + s.text("add") + b"\x86R" + s.text("x") + b"\x85R."),
    "attrgetter of insides": ("attrgetter", s.acts("operator", "attrgetter", "__class__.__base__") + b"."),
    "attrgetter called": ("pickle-trick", s.acts("operator", "attrgetter", "x") + s.named("torch", "Tensor") + b"\x85R."),
    "methodcaller": ("methodcaller", s.named("operator", "methodcaller") + s.text("__reduce__") + b"\x85R."),
    "methodcaller called": ("pickle-trick", s.named("operator", "methodcaller") + s.text("system") + s.text("id") + b"\x86R" + s.text("x") + b"\x85R."),
    "itemgetter called": ("pickle-trick", s.acts("operator", "itemgetter", "system") + b"}\x85R."),
    "type with three arguments": ("builtins.type", s.named("builtins", "type") + s.text("x") + b")}\x87R."),
    "getattr only named": ("getattr", s.named("collections", "OrderedDict") + b"((" + s.named("builtins", "getattr") + b"ltR."),
    "sys.path": ("sys.path", s.named("sys", "path") + s.text("/tmp") + b"a."),
    "sys.modules": ("sys.modules", s.named("sys", "modules") + s.text("os") + b"Ns."),
    "attributes of a class": ("pickle-trick", s.named("torch.nn.modules.linear", "Linear") + b"}" + s.text("forward") + s.named("collections", "OrderedDict") + b"sb."),
    "attributes of a class, slots": ("pickle-trick", s.named("collections", "OrderedDict") + b"N}" + s.text("x") + b"Ns\x86b."),
    "an instance of a call": ("pickle-trick", s.acts("builtins", "list", "x") + b")\x81."),
    "a structure that is called": ("Linear", s.acts("torch.nn.modules.linear", "Linear", "x") + b"."),
    "a structure through INST": ("DetectionModel", b"(S'x.yaml'\niultralytics.nn.tasks\nDetectionModel\n."),
    "a structure through _rebuild_from_type_v2": ("Linear", s.named("torch._tensor", "_rebuild_from_type_v2") + b"("
        + s.named("torch.nn.modules.linear", "Linear") + s.named("torch", "Tensor") + b")NtR."),
    "a computed value through _rebuild_from_type_v2": ("pickle-trick", s.named("torch._tensor", "_rebuild_from_type_v2") + b"("
        + s.acts("operator", "itemgetter", "x") + s.named("torch", "Tensor") + b")NtR."),
    "code for torch.fx": ("reduce_graph_module", b"}" + s.text("_code") + s.text("import os\ndef forward(self): os.system('id')") + b"sq\x000"
        + s.named("torch.fx.graph_module", "reduce_graph_module") + b"h\0" + s.text("import torch") + b"\x86R."),
    "imports for torch.fx": ("reduce_graph_module", s.named("torch.fx.graph_module", "reduce_graph_module") + b"}" + s.text("import os; os.system('x')") + b"\x86R."),
    "a terabyte": ("bytearray", s.named("builtins", "bytearray") + b"\x8a\x06\0\0\0\0\0\1\x85R."),
    "a terabyte, later": ("bytearray", s.named("builtins", "bytearray") + b"K\5\x85R0" + s.named("builtins", "bytearray") + b"\x8a\x06\0\0\0\0\0\1\x85R."),
    "a persistent id of no storage": ("persistent", b"\x80\x02" + s.text("whatever") + s.text("x") + b"\x86Q."),
    "a link in a tar": ("tar-link", c.link("pickle", "/etc/passwd", b"2")),
    "a hard link in a tar": ("tar-link", c.link("pickle", "../../x", b"1")),
    "a path out of a tar": ("tar-path", c.tarred(("../../x.pkl", c.SAFE))),
    "a path out of a zip": ("zip-path", c.zipped(("../../x.pkl", c.SAFE), ("a/data.pkl", c.SAFE))),
    "five zips deep": ("incomplete", c.nested(c.torch_zip(s.call("os", "system", "x")), 6)),
    "a bomb": ("incomplete", gzip.compress(bytes(300 << 20), 1)),
    "a zip bomb": ("incomplete", c.torch_zip(s.call("os", "system", "x") + bytes(64 << 20), method=zipfile.ZIP_DEFLATED)),
}  # fmt: skip


def malicious():
    for name, make in SHAPES.items():
        for module, attribute, argument in TARGETS:
            yield Sample(
                f"{name}: {module}.{attribute}", make(module, attribute, argument), _cause(module, attribute), ".pkl"
            )
    for full in GLOBALS:
        module, _, attribute = full.rpartition(".")
        yield Sample(f"calls {full}", s.call(module, attribute, "x"), _cause(module, attribute), ".pkl")
        dotted = full.split(".", 1)
        yield Sample(f"dotted {full}", SHAPES["STACK_GLOBAL"](*dotted, "x"), full, ".pt")
    for name, make in CONTAINERS.items():
        for module, attribute, argument in TARGETS[:2]:
            data = make(s.call(module, attribute, argument))
            yield Sample(f"{name}: {module}.{attribute}", data, _cause(module, attribute))
        data = make(SHAPES["INST"]("shutil", "rmtree", "/x"))
        if "joblib, after" not in name:
            yield Sample(f"{name}: INST", data, "shutil.rmtree", ".dat")
    for name, (cause, data) in ALONE.items():
        yield Sample(name, data, cause)


def _cause(module, attribute):
    return f"{module}.{attribute}"


VALUES = [
    {"a": 1, "b": [1.5, None, True], "c": ("x", b"y" * 20)}, OrderedDict(a=1), defaultdict(list, a=[1]), Counter("abc"),
    deque([1, 2]), {1, 2}, frozenset("ab"), [list(range(300))] * 3, "text", b"bytes" * 2000, 2**100, -1.5, 1j, range(3), None,
]  # fmt: skip


# Shapes that do harm, or call what nobody can tell, whatever the global is.
ALWAYS = frozenset([
    "BUILD on the global", "BUILD of slots", "items of the global", "appended to the global", "the result is called",
    "through partial", "through map", "through filter", "through reduce", "through getattr", "in bytes for loads",
    "in bytes for _pickle.loads", "in bytes for _load_from_bytes", "in bytes in bytes",
])  # fmt: skip


def benign():
    """Files that hold data only: none is `unsafe`, whatever is odd about some."""
    for name, make in SHAPES.items():
        if name not in ALWAYS:
            yield Sample(f"twin of {name}", make("collections", "OrderedDict", "x"), suffix=".pkl")
    for name, make in CONTAINERS.items():
        yield Sample(f"twin of {name}", make(b"\x80\x02ccollections\nOrderedDict\n)R."))
    yield from plain()


def plain():
    """What real programs write: all of it `safe`, or not a pickle and not said to be one."""
    for protocol in range(6):
        for number, value in enumerate(VALUES):
            yield Sample(f"value {number}, protocol {protocol}", pickle.dumps(value, protocol), suffix=".pkl")
    for name in ("torch zip", "torch zip, deflated", "legacy, stream 5", "npy of objects", "npz", "zlib", "gzip",
                 "bzip2", "xz", "lzma", "lz4", "gzip members", "joblib, array of objects"):  # fmt: skip
        yield Sample(f"plain {name}", CONTAINERS[name](b"\x80\x02ccollections\nOrderedDict\n)R."))


def not_pickles():
    """Text, images, numbers, noise: no finding may speak of a pickle."""
    chance = random.Random(7)
    texts = {
        "a class": "class Foo(Bar):\n    x = 1\n\n    def f(self):\n        return self.x\n",
        "import lines": "import os\nimport sys\nfrom x import y\nos.system\n",
        "cos": "cos(x) = 1\nsin(x) = 0\n(a)\n",
        "c lines": "collections\nOrderedDict\n(nothing)\n.\n",
        "prose": "I am a text. (It has parentheses.)\nNobody calls anything.\nS'quoted'\n",
        "list": "(1, 2, 3)\n[4, 5]\n.\n", "json": '{"a": [1, 2, {"b": null}]}', "yaml": "a: 1\nb:\n  - 2\n",
        "toml": "[a]\nb = 1\n", "csv": "a,b\n1,2\n", "markdown": "# A\n\n- b\n- c\n", "license": "Copyright (c) 2020\nPermission is hereby\n",
        "vocab": "[PAD]\n[CLS]\nthe\n.\nof\n", "merges": "#version: 0.2\nt h\ni n\n",
        "cpp": "#include <x>\nint main() { return 0; }\n", "c": "char *p = 0;\nint x;\n", "html": "<html><body>x</body></html>",
        "vocab that starts with a dot": ".\n,\n(\n)\n", "N": "No. 5\n", "J": "Jabberwocky\n", "I lines": "I\nam\nhere.\n", "F": "False.\n",
    }  # fmt: skip
    for name, body in texts.items():
        yield Sample(f"text: {name}", body.encode(), suffix=".txt")
    for number in range(60):
        yield Sample(f"noise {number}", chance.randbytes(2000))
    for first in sorted(b"(]})NIKJMXVUTSCFGLPQBci.\x80\x88\x89\x8a\x8c\x95"):
        yield Sample(f"noise that starts with {bytes([first])!r}", bytes([first]) + chance.randbytes(1500))
    for name, head in {"png": b"\x89PNG\r\n\x1a\n", "jpeg": b"\xff\xd8\xff\xe0", "gif": b"GIF89a", "bmp": b"BM", "elf": b"\x7fELF",
                       "pdf": b"%PDF-1.4\n", "wav": b"RIFF\0\0\0\0WAVE", "floats": b"\0\0\x80?" * 100}.items():  # fmt: skip
        yield Sample(f"{name} bytes", head + chance.randbytes(800))
    for name in ("torch zip",):
        yield Sample(
            f"records that look like pickles in a {name}",
            c.zipped(
                ("a/data.pkl", c.SAFE),
                ("a/data/0", b"\x80\x02cos\nsystem\n"),
                ("a/data/1", b"class Foo:\nimport os\n"),
                ("a/version", b"3"),
            ),
        )


def malformed():
    """Pickles cut off or overwritten: said to be incomplete, never an exception."""
    whole = pickle.dumps({"w": [1.5, "text", b"bytes", {"k": (1, 2)}], "n": 2**70}, 4)
    for length in range(3, len(whole)):
        yield Sample(f"cut at {length}", whole[:length], suffix=".pkl")
    yield Sample("a memo number of thousands of digits", b"\x80\x02g0x" + b"f" * 5000 + b"\n.", suffix=".pkl")
    for opcode in sorted(set(range(256)) - set(whole) - set(b"(.0127aNKJIFGLMPQRSTUVX)]}bcdeghijlmnopqrstuBC")):
        if opcode < 0x80 or opcode > 0x98:
            yield Sample(f"opcode {opcode:#x}", b"\x80\x02}" + bytes([opcode]) + b".", suffix=".pkl")
