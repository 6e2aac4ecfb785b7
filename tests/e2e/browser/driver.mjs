// Runs one browser with one phone in it. Input lines call methods of the page's `phone`, see `lines.mjs`.
//
//   node driver.mjs chromium|firefox <frequency of Firefox's microphone> [hidden]
//
// A browser hides its addresses from pages without permission for a microphone (RFC 8828): with `hidden`, both do.
//
// The end of stdin closes the browser.

import { launch } from './launch.mjs';
import { log, obey, print } from './lines.mjs';
import { servePage } from './server.mjs';

const [kind, frequency, hidden] = process.argv.slice(2);
const microphone = { frequency: Number(frequency), permission: hidden === undefined ? 'given' : 'unasked' };
const server = await servePage();
const browser = await launch(kind, { microphone }, log);
await browser.open(server.address);
await browser.until(() => window.phone);
print({ ready: browser.version });
await obey((method, given) => browser.evaluate(([method, given]) => window.phone[method](...given), [method, given]));
await browser.close();
server.close();
process.exit(0);
