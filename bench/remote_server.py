"""A web server for `bench remote`: `sendfile`, so that it takes little of the two cores from those who are measured.

`python -m bench.remote_server FOLDER [SECONDS BYTES]`: each answer begins so much later, and all of them share a line
of so many bytes a second. Prints its address; a line on stdin ends it.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from pathlib import Path

PIECE = 64 << 10


class Line:
    """So many bytes a second, for all who send."""

    def __init__(self, rate: float) -> None:
        self.rate, self.free = rate, 0.0

    async def wait(self, count: int) -> None:
        self.free = max(self.free, time.monotonic() - 0.01) + count / self.rate
        await asyncio.sleep(self.free - time.monotonic())


async def serve(folder: Path, delay: float, rate: float) -> None:
    line = Line(rate) if rate else None
    loop = asyncio.get_running_loop()

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await answer(head.decode("latin-1"), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(head: str, writer: asyncio.StreamWriter) -> None:
        path = folder / head.split(" ")[1].lstrip("/")
        size = path.stat().st_size
        found = re.search(r"(?mi)^range: bytes=(\d+)-(\d*)", head)
        start = int(found[1]) if found else 0
        stop = min(size, int(found[2]) + 1) if found and found[2] else size
        await asyncio.sleep(delay)
        part = f"Content-Range: bytes {start}-{stop - 1}/{size}\r\n" if found else ""
        writer.write(
            f"HTTP/1.1 {'206 Partial Content' if found else '200 OK'}\r\nContent-Length: {stop - start}\r\n{part}"
            f'ETag: "{size:x}"\r\nLast-Modified: Thu, 26 Nov 2026 00:00:00 GMT\r\n\r\n'.encode()
        )
        await writer.drain()
        with path.open("rb") as file:
            if line is None:
                await loop.sendfile(writer.transport, file, start, stop - start)
                return
            for at in range(start, stop, PIECE):
                await line.wait(min(PIECE, stop - at))
                writer.write(os.pread(file.fileno(), min(PIECE, stop - at), at))
                await writer.drain()

    server = await asyncio.start_server(client, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)


if __name__ == "__main__":
    delay, rate = (float(x) for x in sys.argv[2:4] or (0, 0))
    asyncio.run(serve(Path(sys.argv[1]), delay, rate))
