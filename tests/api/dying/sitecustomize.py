"""In a worker of `test_catalog.py`: looking at one file ends the process, as a crash in native code would."""

import os
import sys

if "--multiprocessing-fork" in sys.argv:
    from modelglot.api import catalog_rows

    _one = catalog_rows._file

    def _file(task, name):  # type: ignore[no-untyped-def]
        if name == os.environ["MODELGLOT_TEST_DIES"]:
            os._exit(9)
        return _one(task, name)

    catalog_rows._file = _file
