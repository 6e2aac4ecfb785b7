#!/bin/bash
# Without rtcp-mux, Chromium 156 keys SRTCP by the handshake of RTP, and Firefox 153 by the handshake of RTCP.
#
# Each browser offers audio with rtcpMuxPolicy "negotiate" and gets an answer without a=rtcp-mux and without BUNDLE, so
# that RTP is component 1 of ICE and RTCP component 2. The answerer, in Python, takes a DTLS handshake on each component;
# both browsers finish both of them. By RFC 5764 (section 3) each pair of ports has a DTLS-SRTP session of its own.
# Firefox does that: its reports open with component 2's keys, and it reads reports that were protected with these.
# Chromium throws the keys of component 2's handshake away and uses component 1's for SRTCP, in both directions. It says
# nothing of a report under the other keys: getStats() lacks the remote-outbound-rtp, and the call goes on. So a server
# needs both sets of keys at hand.
#
# Output seen:
#   Chromium 156.0.8078.108: DTLS on components 1 and 2; its SRTCP opens with the keys of component 1, it reads what has the keys of 1
#   Firefox 153.8.0: DTLS on components 1 and 2; its SRTCP opens with the keys of component 2, it reads what has the keys of 2
#
# Debian 12, amd64, its package lists fetched; 290 MB of packages and 1.1 GB in the temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# The packages and all that they need, less the C library, which is the machine's.
mkdir -p archives/partial root
: > status
apt-get -qq -y -o Dir::State::status="$work/status" -o Dir::Cache::archives="$work/archives/" \
    -o Debug::NoLocking=1 -o APT::Sandbox::User= -o Acquire::Retries=3 --no-install-recommends --download-only install \
    chromium=156.0.8078.108-1~deb12u1 firefox-esr=153.8.0esr-1~deb12u1 >&2
for package in archives/*.deb; do
    case $package in */libc6_*) ;; *) dpkg-deb -x "$package" root ;; esac
done
rm -r archives
npm install --silent --no-audit --no-fund --prefix . puppeteer-core@24.43.1 >&2
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    aioice==0.13.0 pyopenssl==26.4.0 cryptography==50.0.2 pylibsrtp==1.0.0 >&2

cat > answerer.py <<'PY'
"""Answers an offer without rtcp-mux, sends RTP and, protected with the keys of the component named, reports. JSON lines."""
import asyncio, collections, datetime, json, re, struct, sys, time

import aioice.ice
from OpenSSL import SSL, crypto
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from pylibsrtp import Error, Policy, Session

RTP, RTCP, SSRC, SECONDS = 1, 2, 1234, 7
aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]


def certificate():
    key, name, now = ec.generate_private_key(ec.SECP256R1()), x509.Name([]), datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    return key, built.not_valid_before(now - day).not_valid_after(now + day).sign(key, hashes.SHA256())


KEY, CERTIFICATE = certificate()


class Association:
    """The DTLS server of one component, and the keys of its handshake."""

    def __init__(self):
        context = SSL.Context(SSL.DTLS_METHOD)
        context.use_privatekey(crypto.PKey.from_cryptography_key(KEY))
        context.use_certificate(crypto.X509.from_cryptography(CERTIFICATE))
        context.set_tlsext_use_srtp(b"SRTP_AES128_CM_SHA1_80")
        self.tls, self.browsers, self.ours = SSL.Connection(context, None), None, None
        self.tls.set_accept_state()

    def take(self, datagram):
        self.tls.bio_write(datagram)
        try:
            self.tls.do_handshake()
            material = self.tls.export_keying_material(b"EXTRACTOR-dtls_srtp", 60, None)
            self.browsers, self.ours = material[:16] + material[32:46], material[16:32] + material[46:60]
        except SSL.WantReadError:
            pass
        try:
            while True:
                yield self.tls.bio_read(1500)
        except SSL.WantReadError:
            pass


def protector(key):
    return Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_OUTBOUND))


def opens(report, key):
    try:
        Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_INBOUND)).unprotect_rtcp(report)
        return True
    except Error:
        return False


async def speak(ice, associations, keys_of):
    while not all(association.ours for association in associations.values()):
        await asyncio.sleep(0.02)
    rtp, rtcp = protector(associations[RTP].ours), protector(associations[keys_of].ours)
    for count in range(1, 10_000):
        await ice.sendto(rtp.protect(struct.pack("!BBHII", 0x80, 0, count, count * 160, SSRC) + b"\xff" * 160), RTP)
        if count % 50 == 0:
            ntp = int((time.time() + 2208988800) * 2**32)
            sender = struct.pack("!BBHIQIII", 0x80, 200, 6, SSRC, ntp, count * 160, count, count * 160)
            await ice.sendto(rtcp.protect_rtcp(sender + struct.pack("!BBHIBB2s", 0x81, 202, 2, SSRC, 1, 1, b"x\0")), RTCP)
        await asyncio.sleep(0.02)


async def main(keys_of):
    offer = json.loads(sys.stdin.readline())
    ice = aioice.Connection(ice_controlling=False, components=2)
    await ice.gather_candidates()
    port = {candidate.component: candidate.port for candidate in ice.local_candidates}
    print(json.dumps("\r\n".join([
        "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", f"m=audio {port[RTP]} UDP/TLS/RTP/SAVPF 0", "c=IN IP4 127.0.0.1",
        f"a=rtcp:{port[RTCP]}", "a=mid:" + re.search(r"a=mid:(\S+)", offer)[1], "a=rtpmap:0 PCMU/8000", "a=sendrecv",
        f"a=ice-ufrag:{ice.local_username}", f"a=ice-pwd:{ice.local_password}", "a=setup:passive",
        f"a=fingerprint:sha-256 {CERTIFICATE.fingerprint(hashes.SHA256()).hex(':').upper()}", f"a=ssrc:{SSRC} cname:x",
        *(f"a=candidate:{candidate.to_sdp()}" for candidate in ice.local_candidates), ""])), flush=True)
    ice.remote_username, ice.remote_password = (re.search(rf"a=ice-{part}:(\S+)", offer)[1] for part in ("ufrag", "pwd"))
    for line in re.findall(r"a=candidate:(\S+ [12] udp .*)\r", offer, re.IGNORECASE):
        candidate = aioice.Candidate.from_sdp(line)
        if candidate.host == "127.0.0.1":
            await ice.add_remote_candidate(candidate)
    await ice.add_remote_candidate(None)
    await ice.connect()
    associations, reports = {RTP: Association(), RTCP: Association()}, []
    speaking = asyncio.ensure_future(speak(ice, associations, keys_of))
    end = time.time() + SECONDS
    while time.time() < end:
        try:
            datagram, component = await asyncio.wait_for(ice.recvfrom(), 0.5)
        except asyncio.TimeoutError:
            continue
        if 20 <= datagram[0] <= 63:
            for reply in associations[component].take(datagram):
                await ice.sendto(reply, component)
        elif component == RTCP:
            reports.append(datagram)
    keyed = [component for component, association in associations.items() if association.browsers]
    opened = collections.Counter(component for report in reports for component in keyed if opens(report, associations[component].browsers))
    # The browser is asked for its statistics while the sound goes on.
    print(json.dumps({"handshakes": keyed, "reports": len(reports), "opened": opened}), flush=True)
    sys.stdin.readline()
    speaking.cancel()
    await ice.close()


asyncio.run(main(int(sys.argv[1])))
PY

cat > call.mjs <<'JS'
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import puppeteer from 'puppeteer-core';

const [folder] = process.argv.slice(2);
const page = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<!doctype html><title>phone</title>'));
await new Promise((resolve) => page.listen(0, '127.0.0.1', resolve));

function launch(kind) {
  const root = `${folder}/root`;
  const libraries = [`${root}/usr/lib/x86_64-linux-gnu`, `${root}/lib/x86_64-linux-gnu`, `${root}/usr/lib/x86_64-linux-gnu/pulseaudio`];
  const env = { ...process.env, LD_LIBRARY_PATH: libraries.join(':'), HOME: folder };
  return kind === 'firefox'
    ? puppeteer.launch({ browser: 'firefox', executablePath: `${root}/usr/lib/firefox-esr/firefox-esr`, env, headless: true,
      extraPrefsFirefox: { 'media.navigator.streams.fake': true, 'media.navigator.permission.disabled': true,
        'permissions.default.microphone': 1, 'media.peerconnection.ice.loopback': true } })
    : puppeteer.launch({ executablePath: `${root}/usr/lib/chromium/chromium`, env, headless: true, args: ['--no-sandbox',
      '--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream', '--allow-loopback-in-peer-connection',
      '--disable-background-networking', '--no-first-run'] });
}

/** One call, whose answerer protects its reports with the keys of the component `keysOf`. */
async function call(kind, keysOf) {
  const browser = await launch(kind);
  const tab = await browser.newPage();
  await tab.goto(`http://127.0.0.1:${page.address().port}/`);
  const offer = await tab.evaluate(async () => {
    const pc = new RTCPeerConnection({ rtcpMuxPolicy: 'negotiate' });
    window.pc = pc;
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    pc.addTrack(stream.getAudioTracks()[0], stream);
    await pc.setLocalDescription();
    while (pc.iceGatheringState !== 'complete') await new Promise((resolve) => setTimeout(resolve, 50));
    return pc.localDescription.sdp;
  });
  const answerer = spawn('venv/bin/python', ['answerer.py', `${keysOf}`], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: answerer.stdout })[Symbol.asyncIterator]();
  const said = async () => JSON.parse((await lines.next()).value);
  answerer.stdin.write(`${JSON.stringify(offer)}\n`);
  await tab.evaluate((sdp) => window.pc.setRemoteDescription({ type: 'answer', sdp }), await said());
  const seen = await said();
  const read = await tab.evaluate(async () =>
    [...(await window.pc.getStats()).values()].some(({ type }) => type === 'remote-outbound-rtp'));
  answerer.stdin.end('\n');
  const version = (await browser.version()).split('/')[1];
  await browser.close();
  return { ...seen, read, version };
}

let holds = true;
for (const [kind, name, right] of [['chromium', 'Chromium', 1], ['firefox', 'Firefox', 2]]) {
  const calls = [await call(kind, 1), await call(kind, 2)];
  const reads = [1, 2].filter((component) => calls[component - 1].read);
  const opened = [...new Set(calls.flatMap((one) => Object.keys(one.opened)))];
  console.log(`${name} ${calls[0].version}: DTLS on components ${calls[0].handshakes.join(' and ')}; its SRTCP opens with `
    + `the keys of component ${opened.join(', ')}, it reads what has the keys of ${reads.join(', ')}`);
  holds &&= calls.every((one) => one.handshakes.length === 2 && one.reports > 0 && one.opened[right] === one.reports)
    && opened.join() === `${right}` && reads.join() === `${right}`;
}
page.close();
process.exit(holds ? 0 : 1);
JS
node call.mjs "$work"
