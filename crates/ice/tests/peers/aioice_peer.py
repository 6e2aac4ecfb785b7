"""The peer of interop_peers.rs: aioice on loopback, told what to do by lines on standard input.

First line: controlling|controlled, the number of components, and how pjnath would nominate. It prints its description, reads ours, connects,
and sends back whatever arrives.
"""

import asyncio
import sys

import aioice
import aioice.ice

aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]


async def line():
    return (await asyncio.to_thread(sys.stdin.readline)).strip()


def say(*words):
    print(*words, flush=True)


async def main():
    role, components, _nomination = (await line()).split()
    peer = aioice.Connection(ice_controlling=role == "controlling", components=int(components))
    await peer.gather_candidates()
    say("credentials", peer.local_username, peer.local_password)
    for candidate in peer.local_candidates:
        say("candidate", candidate.to_sdp())
    say("end")
    while (words := (await line()).split(" ", 1))[0] != "end":
        if words[0] == "credentials":
            peer.remote_username, peer.remote_password = words[1].split()
        else:
            await peer.add_remote_candidate(aioice.Candidate.from_sdp(words[1]))
    await peer.add_remote_candidate(None)
    await peer.connect()
    say("connected")
    while True:
        data, component = await peer.recvfrom()
        await peer.sendto(data, component)


asyncio.run(main())
