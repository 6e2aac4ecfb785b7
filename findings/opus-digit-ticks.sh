#!/bin/bash
# Beside Opus, a digit of Chromium 156 and Firefox 153 is over after a sixth of its time, and says that it was as long as asked.
#
# Each browser calls a werift peer that agrees on one audio codec and on telephone-event/8000, and page code presses "5" for
# 4 s by RTCDTMFSender.insertDTMF("5", 4000). Beside PCMU the events go on for 4 s, and the last one says 32,000 ticks. Beside
# Opus they carry the payload type that was agreed for 8,000 Hz, but the duration in each grows by the ticks of Opus, 960 per
# 20 ms, where 8,000 Hz have 160. So the press ends after 0.68 s of packets, and its end says 32,640 ticks, which is 4.08 s by
# RFC 4733 (section 2.1: the unit is that of the clock rate agreed for the events). A gateway that takes the duration at its
# word holds the key down for seconds after the voice has come back; one that goes by arrivals hears a shorter digit than
# the user pressed.
#
# Output seen (the times may differ by some 20 ms):
#   Chromium 156.0.8078.108, PCMU: packets of the press for 3.98 s, its end says 32000 ticks of 8000 Hz (4.00 s)
#   Chromium 156.0.8078.108, opus: packets of the press for 0.66 s, its end says 32640 ticks of 8000 Hz (4.08 s)
#   Firefox 153.8.0, PCMU: packets of the press for 3.98 s, its end says 32000 ticks of 8000 Hz (4.00 s)
#   Firefox 153.8.0, opus: packets of the press for 0.66 s, its end says 32640 ticks of 8000 Hz (4.08 s)
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
npm install --silent --no-audit --no-fund --prefix . puppeteer-core@24.43.1 werift@0.25.2 >&2

cat > press.mjs <<'JS'
import { createServer } from 'node:http';
import puppeteer from 'puppeteer-core';
import { RTCPeerConnection, RTCRtpCodecParameters } from 'werift';

const PRESS_MS = 4000;
const [folder] = process.argv.slice(2);
const page = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<!doctype html><title>phone</title>'));
await new Promise((resolve) => page.listen(0, '127.0.0.1', resolve));

function launch(kind) {
  const root = `${folder}/root`;
  const libraries = [`${root}/usr/lib/x86_64-linux-gnu`, `${root}/lib/x86_64-linux-gnu`, `${root}/usr/lib/x86_64-linux-gnu/pulseaudio`];
  const env = { ...process.env, LD_LIBRARY_PATH: libraries.join(':'), HOME: folder };
  return kind === 'Firefox'
    ? puppeteer.launch({ browser: 'firefox', executablePath: `${root}/usr/lib/firefox-esr/firefox-esr`, env, headless: true,
      extraPrefsFirefox: { 'media.navigator.streams.fake': true, 'media.navigator.permission.disabled': true,
        'permissions.default.microphone': 1, 'media.peerconnection.ice.loopback': true } })
    : puppeteer.launch({ executablePath: `${root}/usr/lib/chromium/chromium`, env, headless: true, args: ['--no-sandbox',
      '--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream', '--allow-loopback-in-peer-connection',
      '--disable-background-networking', '--no-first-run'] });
}

/** A peer that agrees on one codec and on telephone-event/8000, and notes the events' arrivals and durations. */
function peer(codec) {
  const events = [];
  const pc = new RTCPeerConnection({
    codecs: { audio: [codec, new RTCRtpCodecParameters({ mimeType: 'audio/telephone-event', clockRate: 8000, channels: 1 })] },
    iceUseIpv6: false, iceServers: [], iceInterfaceAddresses: { udp4: '127.0.0.1' }, iceAdditionalHostAddresses: ['127.0.0.1'],
  });
  let event;
  pc.onTrack.subscribe((track) => track.onReceiveRtp.subscribe(({ header, payload }) => {
    if (header.payloadType !== event()) return;
    events.push({ at: performance.now(), digit: payload[0], ended: (payload[1] & 0x80) !== 0, ticks: payload.readUInt16BE(2) });
  }));
  event = () => Number(pc.localDescription.sdp.match(/a=rtpmap:(\d+) telephone-event\/8000/)[1]);
  return { pc, events };
}

/** The offer without the events of this clock rate: werift goes by the name and would take the first, whatever its rate. */
function withoutEvents(sdp, rate) {
  const number = sdp.match(`a=rtpmap:(\\d+) telephone-event/${rate}\r\n`)?.[1];
  return number === undefined ? sdp
    : sdp.split('\r\n').filter((line) => !line.match(`^a=(rtpmap|fmtp|rtcp-fb):${number} `))
      .map((line) => (line.startsWith('m=') ? line.replace(` ${number}`, '') : line)).join('\r\n');
}

async function press(kind, codec) {
  const browser = await launch(kind);
  const tab = await browser.newPage();
  await tab.goto(`http://127.0.0.1:${page.address().port}/`);
  const offer = await tab.evaluate(async () => {
    window.pc = new RTCPeerConnection();
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    window.sender = window.pc.addTrack(stream.getAudioTracks()[0], stream);
    await window.pc.setLocalDescription();
    while (window.pc.iceGatheringState !== 'complete') await new Promise((resolve) => setTimeout(resolve, 50));
    return window.pc.localDescription.sdp;
  });
  const { pc, events } = peer(codec);
  await pc.setRemoteDescription({ type: 'offer', sdp: withoutEvents(offer, 48000) });
  await pc.setLocalDescription(await pc.createAnswer());
  await tab.evaluate(async (sdp, duration) => {
    await window.pc.setRemoteDescription({ type: 'answer', sdp });
    while (window.pc.connectionState !== 'connected' || !window.sender.dtmf.canInsertDTMF) await new Promise((resolve) => setTimeout(resolve, 50));
    window.sender.dtmf.insertDTMF('5', duration);
    await new Promise((resolve) => setTimeout(resolve, duration + 2000));
  }, pc.localDescription.sdp, PRESS_MS);
  const version = (await browser.version()).split('/')[1];
  await browser.close();
  await pc.close();
  const end = events.find(({ ended }) => ended);
  if (!end || events.some(({ digit }) => digit !== 5)) throw new Error(`${kind}: no whole press of "5": ${JSON.stringify(events)}`);
  return { version, seconds: (end.at - events[0].at) / 1000, ticks: end.ticks };
}

const pcmu = new RTCRtpCodecParameters({ mimeType: 'audio/PCMU', clockRate: 8000, channels: 1, payloadType: 0 });
const opus = new RTCRtpCodecParameters({ mimeType: 'audio/opus', clockRate: 48000, channels: 2 });
const near = (value, wanted) => Math.abs(value - wanted) < wanted / 5;
let holds = true;
for (const kind of ['Chromium', 'Firefox']) {
  for (const [name, codec, seconds] of [['PCMU', pcmu, PRESS_MS / 1000], ['opus', opus, PRESS_MS / 6000]]) {
    const seen = await press(kind, codec);
    console.log(`${kind} ${seen.version}, ${name}: packets of the press for ${seen.seconds.toFixed(2)} s, `
      + `its end says ${seen.ticks} ticks of 8000 Hz (${(seen.ticks / 8000).toFixed(2)} s)`);
    holds &&= near(seen.seconds, seconds) && near(seen.ticks, PRESS_MS * 8);
  }
}
page.close();
process.exit(holds ? 0 : 1);
JS
node press.mjs "$work"
