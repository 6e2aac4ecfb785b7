// Chromium and Firefox at their defaults, with a fake microphone that asks nobody, and certificates taken as they come.
// Chromium's microphone beeps; Firefox's is a pure tone, of `frequency` where 48000 is a multiple of it.

import { chromium } from 'playwright-core';
import puppeteer from 'puppeteer-core';

export function launch(kind, microphone, log) {
  return kind === 'firefox' ? launchFirefox(microphone, log) : launchChromium(log);
}

async function launchChromium(log) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox', '--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream',
      '--autoplay-policy=no-user-gesture-required', '--ignore-certificate-errors',
      '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run', '--disable-quic',
    ],
  });
  const page = await browser.newPage();
  page.on('console', (message) => log(message.text()));
  page.on('pageerror', (error) => log(`page error: ${error.message}`));
  return {
    version: `Chromium ${browser.version()}`,
    async open(address) {
      await page.goto(address);
      await page.waitForFunction(() => window.phone);
    },
    call: (method, given) => page.evaluate(([method, given]) => window.phone[method](...given), [method, given]),
    close: () => browser.close(),
  };
}

async function launchFirefox({ frequency, hidden }, log) {
  const browser = await puppeteer.launch({
    browser: 'firefox',
    executablePath: process.env.FIREFOX ?? '/usr/bin/firefox-esr',
    headless: true,
    acceptInsecureCerts: true,
    protocolTimeout: 600_000,
    extraPrefsFirefox: {
      'media.navigator.streams.fake': true,
      'media.navigator.permission.disabled': true,
      // A fake microphone comes without being given, so that by itself the addresses stay hidden. 0 asks, 1 allows.
      'permissions.default.microphone': hidden ? 0 : 1,
      'media.navigator.audio.fake_frequency': frequency,
      'media.autoplay.default': 0,
    },
  });
  const page = await browser.newPage();
  page.on('console', (message) => log(message.text()));
  page.on('pageerror', (error) => log(`page error: ${error.message}`));
  return {
    version: await browser.version(),
    async open(address) {
      await page.goto(address);
      await page.waitForFunction(() => window.phone);
    },
    call: (method, given) => page.evaluate((method, given) => window.phone[method](...given), method, given),
    close: () => browser.close(),
  };
}
