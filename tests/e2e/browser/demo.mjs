// `cargo xtask demo --check`: a headless Chromium opens the demo page, registers, calls `echo` and hears itself.
//
// node demo.mjs <address of the page>; exits with 0 if it hears itself, otherwise with 1 and a sentence that says why.

import { launch } from './launch.mjs';

const HEARD = -40; // dB; silence is at -60, the fake microphone's beep at about -10
const [address] = process.argv.slice(2);

// The browser closes when this is to end. What fails then is no finding.
let isToEnd = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => { isToEnd = true; });

const browser = await launch('chromium', { microphone: { permission: 'given' } }, () => {});
const told = (beginning, seconds) => browser.until(
  (beginning) => document.querySelector('#sentence').textContent.startsWith(beginning), beginning, seconds * 1000,
);
const text = (id) => browser.evaluate((id) => document.getElementById(id).textContent, id);
try {
  await browser.open(address);
  await browser.page.click('#account button');
  await told('Registered', 15);
  await browser.page.click('#call');
  await told('In call', 15);
  await browser.until((heard) => Number(document.querySelector('#hearing').ariaValueNow) > heard, HEARD, 20_000);
  await browser.until(() => document.querySelector('#received').textContent.includes('packets'));
  console.log(`Heard: ${await text('received')}.`);
  await browser.page.click('#hangup');
} catch (error) {
  if (!isToEnd) console.error(`Not heard. The page says: "${await text('sentence').catch(() => 'nothing')}" (${error.message.split('\n')[0]})`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
