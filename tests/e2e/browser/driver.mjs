// One browser with one phone in it, driven line by line.
//
//   node driver.mjs chromium|firefox <frequency of Firefox's microphone> [hidden]
//
// A browser hides its addresses from pages that its user gave no microphone (RFC 8828): with `hidden` Firefox does. Chromium
// does until the page asks, see phone.js.
//
// stdin:  {"id": 1, "method": "dial", "arguments": ["echo"]}        a method of the page's `phone`
// stdout: {"id": 1, "value": …} or {"id": 1, "error": "…"}; {"log": "…"} for the page's console
// The end of stdin closes the browser.

import { createInterface } from 'node:readline';
import { servePage } from './server.mjs';
import { launch } from './launch.mjs';

const print = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

const [kind, frequency, hidden] = process.argv.slice(2);
const server = await servePage();
const browser = await launch(kind, { frequency: Number(frequency), hidden: hidden !== undefined }, (text) => print({ log: text }));
await browser.open(server.address);
print({ ready: browser.version });

const pending = new Set();
for await (const line of createInterface({ input: process.stdin })) {
  const answering = answer(JSON.parse(line)).finally(() => pending.delete(answering));
  pending.add(answering);
}
await Promise.allSettled(pending);
await browser.close();
server.close();
process.exit(0);

async function answer({ id, method, arguments: given }) {
  try {
    print({ id, value: (await browser.call(method, given ?? [])) ?? null });
  } catch (error) {
    print({ id, error: error.message });
  }
}
