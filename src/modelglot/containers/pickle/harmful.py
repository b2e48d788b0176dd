"""Globals that a pickle can only name to run code, load code or reach outside: for a better message.

A deny-list is never complete, and nothing is called safe for not being here.
"""

from __future__ import annotations

# Whole modules of the standard library whose every function reaches outside of the process or into it.
_MODULES_TEXT = """
os posix nt ntpath posixpath subprocess _posixsubprocess commands socket _socket ssl ctypes _ctypes shutil sys runpy
pty tty code codeop pdb bdb cmd importlib imp marshal webbrowser multiprocessing asyncio signal threading _thread
tempfile urllib urllib2 http httplib ftplib smtplib poplib imaplib telnetlib nntplib socketserver xmlrpc requests
httpx aiohttp pip setuptools ensurepip venv distutils linecache zipimport pkgutil pydoc timeit trace profile cProfile
doctest unittest idlelib sqlite3 shelve dbm pickle _pickle cPickle pickletools glob fileinput gc atexit faulthandler
readline rlcompleter concurrent zipfile tarfile lib2to3 turtle tkinter antigravity this test aifc sndhdr crypt cgi
cgitb wsgiref platform site sysconfig compileall py_compile zipapp modulefinder nturl2path _osx_support _aix_support
_pyrepl paramiko fabric invoke sh pexpect ptyprocess boto3 psutil cffi numba execnet ray dask winreg _winapi msvcrt
mmap resource pwd grp spwd fcntl syslog nis curses ast dis symtable tokenize tracemalloc inspect weakref cloudpickle
"""
MODULES: frozenset[str] = frozenset(_MODULES_TEXT.split())

_TEXT = """
builtins.eval builtins.exec builtins.compile builtins.open builtins.setattr builtins.__import__ builtins.apply
builtins.execfile builtins.input builtins.raw_input builtins.globals builtins.locals builtins.vars builtins.breakpoint
builtins.delattr builtins.map builtins.filter builtins.file builtins.reload builtins.dir builtins.classmethod
builtins.staticmethod builtins.property builtins.super builtins.memoryview builtins.help builtins.exit builtins.quit
builtins.sorted builtins.min builtins.max builtins.iter builtins.next builtins.__dict__ builtins.__build_class__
builtins.hasattr builtins.print builtins.__loader__ builtins.__spec__ io.open io.open_code io.FileIO io.OpenWrapper
_io.open _io.open_code _io.FileIO codecs.open codecs.open_code types.CodeType types.FunctionType types.MethodType
types.LambdaType types.ModuleType types.coroutine types.new_class functools.reduce _functools.reduce
functools.partialmethod functools.singledispatch functools.cached_property itertools.starmap itertools.accumulate
itertools.groupby itertools.takewhile itertools.dropwhile itertools.filterfalse logging.config.listen
logging.config.dictConfig logging.config.fileConfig logging.FileHandler logging.basicConfig
logging.handlers.SocketHandler pathlib.Path.write_text pathlib.Path.write_bytes pathlib.Path.unlink copy.deepcopy
copy.copy collections.UserDict.__init__ dataclasses.make_dataclass enum._test_simple_enum string.Formatter
string.Template contextlib.ExitStack configparser.ConfigParser csv.reader json.load plistlib.load
xml.etree.ElementTree.parse xml.dom.minidom.parse netrc.netrc mailcap.findmatch uuid._get_command_stdout uuid._popen
uuid._load_system_functions decimal.setcontext random._os.system statistics.sys locale.setlocale getpass.getpass
getpass.getuser bz2.open gzip.open lzma.open bz2.BZ2File gzip.GzipFile lzma.LZMAFile wave.open torch.load torch.save
torch.jit.load torch.hub.load torch.hub.load_state_dict_from_url torch.hub.download_url_to_file torch.hub.list
torch.hub.help torch.storage._load_from_bytes torch.serialization.load torch.package.PackageImporter
torch._inductor.codecache.compile_file torch.utils.cpp_extension.load torch.utils.cpp_extension.load_inline
torch.utils._config_module.ConfigModule.load_config torch.utils.collect_env.run torch.ops.load_library
torch._dynamo.guards.GuardBuilder.get torch.fx.experimental.symbolic_shapes.ShapeEnv.evaluate_guards_expression
torch.utils.data.datapipes.utils.decoder.basichandlers torch.classes.load_library torch._ops.load_library
torch.distributed.rpc.rpc_sync torch.distributed.rpc.internal._internal_rpc_pickler torch.multiprocessing.spawn
torch.jit.unsupported_tensor_ops.execWrapper torch.utils.bottleneck.__main__.run_cprofile torch.fx.Interpreter
torch.utils.bottleneck.__main__.run_autograd_prof torch.from_file torch.UntypedStorage.from_file torch.jit.script
torch.jit._script.script torch.compile torch.distributed.elastic.multiprocessing.api.start_processes torch.export.load
numpy.load numpy.save numpy.memmap numpy.fromfile numpy.loadtxt numpy.genfromtxt numpy.savetxt
numpy.core.memmap.memmap numpy.testing._private.utils.runstring numpy.testing._private.utils.runcode
numpy.f2py.compile numpy.f2py.crackfortran numpy.distutils.exec_command.exec_command numpy.core.multiarray.fromfile
numpy.lib.npyio.load numpy.vectorize numpy.core.fromnumeric.apply_along_axis numpy.apply_along_axis numpy.frompyfunc
numpy.fromfunction numpy.savez numpy.lib._npyio_impl.load numpy.ctypeslib.load_library numpy.DataSource
numpy.piecewise numpy.apply_over_axes joblib.load joblib.dump joblib.numpy_pickle.load joblib.Parallel
joblib.parallel.Parallel joblib.Memory dill.load dill.loads dill._dill._create_code dill._dill.loads dill._dill.load
dill.source.importable jsonpickle.decode pandas.read_pickle pandas.read_csv pandas.read_sql pandas.eval
pandas.core.computation.eval.eval pandas.io.pickle.read_pickle pandas.read_html pandas.read_xml pandas.read_json
pandas.read_hdf pandas.core.frame.DataFrame.query yaml.load yaml.unsafe_load yaml.full_load yaml.load_all
hydra.utils.instantiate hydra._internal.utils._locate transformers.pipeline
transformers.dynamic_module_utils.get_class_from_dynamic_module transformers.AutoModel.from_pretrained
keras.models.load_model keras.saving.load_model tensorflow.keras.models.load_model tensorflow.saved_model.load
tensorflow.io.read_file tensorflow.io.write_file tensorflow.py_function tensorflow.numpy_function
tensorflow.load_op_library sklearn.datasets.load_svmlight_file sklearn.datasets.fetch_openml scipy.io.loadmat
scipy.io.wavfile.read PIL.Image.open huggingface_hub.hf_hub_download huggingface_hub.snapshot_download jinja2.Template
jinja2.environment.Template mlflow.pyfunc.load_model sympy.sympify sympy.core.sympify.sympify
sympy.parsing.sympy_parser.parse_expr sympy.utilities.lambdify.lambdify numexpr.evaluate
"""
NAMES: frozenset[str] = frozenset(_TEXT.split())


def is_harmful(name: str) -> bool:
    """A folded ``module.name``: on the list, of a listed module, or reaching one through another package."""
    parts = name.split(".")
    if parts[0] in MODULES or name in NAMES:
        return True
    for start in range(1, len(parts) - 1):  # `torch.serialization.os.system`
        if ".".join(parts[start:]) in NAMES or (parts[start] in _REACHED and len(parts) > start + 1):
            return True
    return any(part in _INSIDES for part in parts[1:])


_REACHED = frozenset(
    ["os", "subprocess", "sys", "shutil", "socket", "importlib", "builtins", "runpy", "ctypes", "pickle"]
)
_INSIDES = frozenset([
    "__globals__", "__builtins__", "__subclasses__", "__import__", "__code__", "__loader__", "__getattribute__",
    "__bases__", "__base__", "__mro__", "__init_subclass__", "__reduce__", "__reduce_ex__", "__call__", "__dict__",
    "__getattr__", "__setattr__", "__class__", "__self__", "__func__", "__closure__", "__spec__", "__wrapped__",
])  # fmt: skip
