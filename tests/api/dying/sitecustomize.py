"""In a worker of `test_catalog.py`: looking at one file, or folder, ends the process, as a native crash would."""

import os
import sys

if "--multiprocessing-fork" in sys.argv:
    from modelglot.api import finding

    _one = finding._file

    def _file(task, name, limits):  # type: ignore[no-untyped-def]
        if name == os.environ["MODELGLOT_TEST_DIES"]:
            os._exit(9)
        return _one(task, name, limits)

    _whole = finding._as_one

    def _as_one(task, seen, limits):  # type: ignore[no-untyped-def]
        if os.path.basename(task.folder) == os.environ["MODELGLOT_TEST_DIES"]:
            os._exit(9)
        return _whole(task, seen, limits)

    finding._file, finding._as_one = _file, _as_one
