// Tones as RTP packets of PCMU (RFC 3550, RFC 3551), for stacks that leave media to their callers.

import { openSync, writeSync } from 'node:fs';

const PACKET = 160;
const BIAS = 0x84;

/** Calls `send` with a packet of a tone every 20 ms; returns what stops it. */
export function speak(frequency, ssrc, send) {
  const began = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    for (; sent * 20 < performance.now() - began; sent += 1) send(packet(frequency, ssrc, sent));
  }, 10);
  return () => clearInterval(timer);
}

/** A function that appends PCMU to a file, as samples of 16 bits. */
export function listener(path) {
  const file = openSync(path, 'w');
  return (payload) => {
    const samples = Buffer.alloc(payload.length * 2);
    payload.forEach((byte, at) => samples.writeInt16LE(decode(byte), at * 2));
    writeSync(file, samples);
  };
}

/** The payload of an RTP packet of PCMU, otherwise null. */
export function payloadOf(packet) {
  if (packet.length < 12 || (packet[1] & 0x7f) !== 0) return null;
  const extension = 12 + 4 * (packet[0] & 0x0f);
  const start = packet[0] & 0x10 ? extension + 4 + 4 * packet.readUInt16BE(extension + 2) : extension;
  return packet.subarray(start);
}

function packet(frequency, ssrc, number) {
  const bytes = Buffer.alloc(12 + PACKET);
  bytes[0] = 0x80;
  bytes[1] = number === 0 ? 0x80 : 0;
  bytes.writeUInt16BE(number & 0xffff, 2);
  bytes.writeUInt32BE(number * PACKET, 4);
  bytes.writeUInt32BE(ssrc, 8);
  for (let at = 0; at < PACKET; at += 1) {
    bytes[12 + at] = encode(8000 * Math.sin((2 * Math.PI * frequency * (number * PACKET + at)) / 8000));
  }
  return bytes;
}

function encode(sample) {
  const magnitude = Math.min(Math.abs(Math.trunc(sample)), 32635) + BIAS;
  const exponent = Math.max(24 - Math.clz32(magnitude), 0);
  return ~((sample < 0 ? 0x80 : 0) | (exponent << 4) | ((magnitude >> (exponent + 3)) & 0x0f)) & 0xff;
}

function decode(byte) {
  const sample = ((((~byte & 0x0f) << 3) + BIAS) << ((~byte >> 4) & 0x07)) - BIAS;
  return byte & 0x80 ? sample : -sample;
}
