#!/bin/bash
# rtpengine 10.5.3.5 (Debian 12) turns a page's offer into plain RTP with rtcp-mux in it, and gives the page an answer without.
#
# aiortc's offer goes through rtpengine to a plain phone, with transport-protocol=RTP/AVP and ICE=remove. What the phone
# gets has neither ICE nor DTLS, but keeps a=rtcp-mux, a=mid and a=extmap. The phone answers as phones do, without mux.
# rtpengine made that offer itself and sits between the two, so it could mux on the page's side alone; yet the answer for
# the page says no mux, a=rtcp and candidates of two components, and a page has to refuse it (RFC 8829's default policy is
# to require mux): aiortc raises. rtcp-mux=require, by its name the cure, changes nothing. Only rtcp-mux=demux does, which
# says to keep mux on the offerer's side. In all of them the offer's BUNDLE group is gone from the answer while its a=mid
# is back.
#
# Output seen:
#   Version: 10.5.3.5-1+deb12u1, aiortc 1.16.0
#   no rtcp-mux flag: offer to the phone RTP/AVP with a=rtcp-mux; answer to the page without a=rtcp-mux, components 1 2, no group: refused (RTCP mux is not enabled)
#   rtcp-mux=require: offer to the phone RTP/AVP with a=rtcp-mux; answer to the page without a=rtcp-mux, components 1 2, no group: refused (RTCP mux is not enabled)
#   rtcp-mux=demux: offer to the phone RTP/AVP without a=rtcp-mux; answer to the page with a=rtcp-mux, components 1, no group: accepted
#
# Debian 12, amd64, its package lists fetched; rtpengine needs no kernel module here, and no root.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
# The package and all that it needs, less the C library, which is the machine's.
mkdir -p archives/partial root
: > status
apt-get -qq -y -o Dir::State::status="$work/status" -o Dir::Cache::archives="$work/archives/" \
    -o Debug::NoLocking=1 -o APT::Sandbox::User= -o Acquire::Retries=3 --no-install-recommends --download-only install \
    rtpengine-daemon=10.5.3.5-1+deb12u1 >&2
for package in archives/*.deb; do
    case $package in */libc6_*) ;; *) dpkg-deb -x "$package" root ;; esac
done
rm -r archives
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    aiortc==1.16.0 aioice==0.13.0 av==18.1.0 pyopenssl==26.4.0 cryptography==50.0.2 pylibsrtp==1.0.0 >&2
cat > call.py <<'PY'
import asyncio, itertools, os, re, socket, subprocess, sys, time
from importlib.metadata import version

import aioice.ice
from aiortc import RTCPeerConnection, RTCSessionDescription

aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
PHONE = "\r\n".join([
    "v=0", "o=- 9 9 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0", "m=audio 41000 RTP/AVP 0", "a=rtpmap:0 PCMU/8000", ""])


def encoded(value):
    """Bencode, of what the control protocol needs."""
    if isinstance(value, str):
        return b"%d:%s" % (len(value.encode()), value.encode())
    if isinstance(value, list):
        return b"l%se" % b"".join(map(encoded, value))
    return b"d%se" % b"".join(encoded(key) + encoded(value[key]) for key in sorted(value))


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Engine:
    def __init__(self):
        root, port = os.path.abspath("root"), free_port()
        self.binary = [f"{root}/usr/bin/rtpengine"]
        self.env = dict(os.environ, LD_LIBRARY_PATH=f"{root}/usr/lib/x86_64-linux-gnu:{root}/lib/x86_64-linux-gnu")
        self.process = subprocess.Popen(
            self.binary + ["--foreground", "--table=-1", "--interface=127.0.0.1", f"--listen-ng=127.0.0.1:{port}",
                           "--port-min=30000", "--port-max=30200", "--log-stderr"],
            env=self.env, stderr=open("rtpengine.log", "w"))
        self.control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.control.connect(("127.0.0.1", port))
        self.control.settimeout(1)
        self.cookies = itertools.count()
        for _ in range(30):
            try:
                return self.ask({"command": "ping"}) and None
            except OSError:
                time.sleep(0.2)
        raise SystemExit("rtpengine did not start: " + open("rtpengine.log").read())

    def version(self):
        told = subprocess.run(self.binary + ["--version"], env=self.env, capture_output=True, text=True)
        return (told.stdout + told.stderr).strip()

    def ask(self, request):
        self.control.send(b"%d " % next(self.cookies) + encoded(request))
        return self.control.recv(65535)

    def description(self, request):
        reply = self.ask(request)
        length, start = re.search(rb"3:sdp(\d+):()", reply).group(1), re.search(rb"3:sdp\d+:", reply).end()
        return reply[start:start + int(length)].decode()


async def call(engine, flag):
    pc = RTCPeerConnection()
    pc.addTransceiver("audio")
    await pc.setLocalDescription(await pc.createOffer())
    ids = {"call-id": f"call with {flag}", "from-tag": "page"}
    flags = {"transport-protocol": "RTP/AVP", "ICE": "remove", **({"rtcp-mux": [flag]} if flag else {})}
    offer = engine.description({"command": "offer", "sdp": pc.localDescription.sdp, **ids, **flags})
    answer = engine.description({"command": "answer", "sdp": PHONE, "to-tag": "phone", **ids})
    try:
        await pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        outcome = "accepted"
    except ValueError as error:
        outcome = f"refused ({error})"
    await pc.close()
    mux = lambda text: f"{'with' if 'a=rtcp-mux' in text else 'without'} a=rtcp-mux"
    components = " ".join(sorted(set(re.findall(r"a=candidate:\S+ (\d)", answer))))
    group = "BUNDLE" if "a=group:BUNDLE" in answer else "no group"
    assert "a=mid:" in answer and "a=group:BUNDLE" in pc.localDescription.sdp
    assert not re.search("a=(ice-|fingerprint|setup|candidate)", offer) and "a=mid:" in offer and "a=extmap:" in offer
    return (f"{f'rtcp-mux={flag}' if flag else 'no rtcp-mux flag'}: offer to the phone {re.search('RTP/[A-Z]+', offer).group()} {mux(offer)}; "
            f"answer to the page {mux(answer)}, components {components}, {group}: {outcome}")


engine = Engine()
try:
    print(f"{engine.version()}, aiortc {version('aiortc')}")
    for flag in ("", "require", "demux"):
        print(asyncio.run(call(engine, flag)))
finally:
    engine.process.terminate()
    engine.process.wait()
PY
venv/bin/python call.py | tee seen
cat > expected <<'TEXT'
Version: 10.5.3.5-1+deb12u1, aiortc 1.16.0
no rtcp-mux flag: offer to the phone RTP/AVP with a=rtcp-mux; answer to the page without a=rtcp-mux, components 1 2, no group: refused (RTCP mux is not enabled)
rtcp-mux=require: offer to the phone RTP/AVP with a=rtcp-mux; answer to the page without a=rtcp-mux, components 1 2, no group: refused (RTCP mux is not enabled)
rtcp-mux=demux: offer to the phone RTP/AVP without a=rtcp-mux; answer to the page with a=rtcp-mux, components 1, no group: accepted
TEXT
cmp seen expected
