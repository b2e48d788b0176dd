"""In a worker of `test_catalog.py`: looking at one file, or folder, ends the process, as a native crash would."""

import os
import sys

if "--multiprocessing-fork" in sys.argv:
    from modelglot.api import catalog_rows

    _one = catalog_rows._file

    def _file(task, name):  # type: ignore[no-untyped-def]
        if name == os.environ["MODELGLOT_TEST_DIES"]:
            os._exit(9)
        return _one(task, name)

    _whole = catalog_rows._as_one

    def _as_one(task, seen):  # type: ignore[no-untyped-def]
        if os.path.basename(task.folder) == os.environ["MODELGLOT_TEST_DIES"]:
            os._exit(9)
        return _whole(task, seen)

    catalog_rows._file, catalog_rows._as_one = _file, _as_one
