#!/bin/bash
# Firefox 153's description of a call on hold begins with a=sendrecv.
#
# Two connections in one page are set up, then the first puts the second on hold: its transceiver becomes "sendonly"
# (music on hold) or "inactive", and a new offer is made. pc.localDescription, which is what SIP libraries send in their
# re-INVITE, says the new direction in the m-section, and at session level, before any m-section, says "a=sendrecv" as in
# every offer. By RFC 8866 (section 6.7) the m-section's word counts, so the offer is right; but a peer or a proxy that
# takes the first direction that it finds, or that lets the session's win, sees no hold at all. The answers of Firefox say
# a=sendrecv there too, beside "recvonly". Chromium 156 writes no direction at session level.
#
# Output seen:
#   Firefox 153.8.0
#   sendrecv: offer's session level sendrecv, m-section sendrecv; answer's session level sendrecv, m-section sendrecv
#   sendonly: offer's session level sendrecv, m-section sendonly; answer's session level sendrecv, m-section recvonly
#   inactive: offer's session level sendrecv, m-section inactive; answer's session level sendrecv, m-section inactive
#
# Debian 12, amd64, its package lists fetched; 150 MB of packages and 600 MB in the temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
# The package and all that it needs, less the C library, which is the machine's.
mkdir -p archives/partial root
: > status
apt-get -qq -y -o Dir::State::status="$work/status" -o Dir::Cache::archives="$work/archives/" \
    -o Debug::NoLocking=1 -o APT::Sandbox::User= -o Acquire::Retries=3 --no-install-recommends --download-only install \
    firefox-esr=153.8.0esr-1~deb12u1 >&2
for package in archives/*.deb; do
    case $package in */libc6_*) ;; *) dpkg-deb -x "$package" root ;; esac
done
rm -r archives
npm install --silent --no-audit --no-fund --prefix . puppeteer-core@24.43.1 >&2
cat > hold.mjs <<'JS'
import { createServer } from 'node:http';
import puppeteer from 'puppeteer-core';

const [folder] = process.argv.slice(2);
const libraries = ['usr/lib/x86_64-linux-gnu', 'lib/x86_64-linux-gnu', 'usr/lib/x86_64-linux-gnu/pulseaudio'];
const page = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<!doctype html><title>phone</title>'));
await new Promise((resolve) => page.listen(0, '127.0.0.1', resolve));
const browser = await puppeteer.launch({
  browser: 'firefox', executablePath: `${folder}/root/usr/lib/firefox-esr/firefox-esr`, headless: true,
  env: { ...process.env, HOME: folder, LD_LIBRARY_PATH: libraries.map((library) => `${folder}/root/${library}`).join(':') },
});
const tab = await browser.newPage();
await tab.goto(`http://127.0.0.1:${page.address().port}/`);
const seen = await tab.evaluate(async () => {
  const directions = (sdp) => sdp.split('m=').slice(0, 2).map((part) => part.match(/a=(sendrecv|sendonly|recvonly|inactive)\r/)?.[1]);
  const [caller, callee] = [new RTCPeerConnection(), new RTCPeerConnection()];
  const transceiver = caller.addTransceiver('audio');
  const rounds = [];
  for (const direction of ['sendrecv', 'sendonly', 'inactive']) {
    transceiver.direction = direction;
    await caller.setLocalDescription();
    await callee.setRemoteDescription(caller.localDescription);
    for (const one of callee.getTransceivers()) one.direction = 'sendrecv';
    await callee.setLocalDescription();
    await caller.setRemoteDescription(callee.localDescription);
    rounds.push({ direction, current: transceiver.currentDirection,
      offer: directions(caller.localDescription.sdp), answer: directions(callee.localDescription.sdp) });
  }
  return rounds;
});
console.log(`Firefox ${(await browser.version()).split('/')[1]}`);
await browser.close();
page.close();
for (const { direction, offer, answer } of seen) {
  console.log(`${direction}: offer's session level ${offer[0]}, m-section ${offer[1]}; answer's session level ${answer[0]}, m-section ${answer[1]}`);
}
const reverse = { sendrecv: 'sendrecv', sendonly: 'recvonly', inactive: 'inactive' };
process.exit(seen.length === 3 && seen.every(({ direction, current, offer, answer }) => current === direction
  && offer[0] === 'sendrecv' && offer[1] === direction && answer[0] === 'sendrecv' && answer[1] === reverse[direction]) ? 0 : 1);
JS
node hold.mjs "$work"
