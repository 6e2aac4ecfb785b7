"""The protocol between the tests and a peer, line by line, as in browser/lines.mjs."""

import asyncio
import json
import sys


def show(message):
    print(json.dumps(message), flush=True)


def log(text):
    show({"log": text})


async def obey(peer):
    """Calls the method of `peer` that each input line names, until the input ends."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    show({"ready": True})
    while line := await reader.readline():
        command = json.loads(line)
        try:
            value = await getattr(peer, command["method"])(*command["arguments"])
            show({"id": command["id"], "value": value})
        except Exception as error:
            show({"id": command["id"], "error": f"{type(error).__name__}: {error}"})
