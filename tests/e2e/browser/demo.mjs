// `cargo xtask demo --check`: a headless Chromium opens the demo page, registers, calls `echo` and hears itself.
//
// node demo.mjs <address of the page>; exits 0 when it was heard, 1 with one sentence when not.

import { chromium } from 'playwright-core';

const HEARD = 0.001; // energy of two seconds of the fake microphone's beep; silence adds up to nothing
const [address] = process.argv.slice(2);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [
    '--no-sandbox', '--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream',
    '--autoplay-policy=no-user-gesture-required',
    '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run',
  ],
});
const page = await browser.newPage();
const status = () => page.textContent('#status');
try {
  await page.goto(address);
  await page.click('#account button');
  await page.waitForFunction(() => document.querySelector('#status').textContent.startsWith('Registered'), null, { timeout: 15_000 });
  await page.click('#call');
  await page.waitForFunction(() => document.querySelector('#status').textContent === 'In call.', null, { timeout: 15_000 });
  await page.waitForFunction((heard) => Number(document.querySelector('#received').dataset.energy) > heard, HEARD, { timeout: 20_000 });
  const [received, lost, roundtrip] = await page.$$eval('#received, #lost, #roundtrip', (all) => all.map((one) => one.textContent));
  console.log(`Heard: ${received} received, ${lost} lost, round trip ${roundtrip}.`);
  await page.click('#hangup');
} catch (error) {
  console.error(`Not heard. The page says: "${await status().catch(() => 'nothing')}" (${error.message.split('\n')[0]})`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
