// Starts Chromium or Firefox with default settings, but accepting all certificates.
//
// `microphone` is a fake one: Chromium's beeps; Firefox's is a pure tone of `frequency`, of which 48000 is a multiple.
// Its `permission` is `given`, `unasked` (the tone works without it) or `refused`. `scheme` is the colour scheme.

import { chromium } from 'playwright-core';
import puppeteer from 'puppeteer-core';

/** A name of this machine that is not a secure origin, unlike `localhost`. */
const INSECURE = 'phone.example';

/** A page that may have the microphone without asking shows its addresses even before it asks. */
const PERMISSION_IN_CHROMIUM = {
  given: ['--use-fake-ui-for-media-stream'], unasked: [], refused: ['--deny-permission-prompts'],
};

/** Starts the browser `kind`; both kinds have the same interface. `log` is called with each line of the page's console. */
export async function launch(kind, { microphone, scheme = 'light' }, log) {
  const browser = await (kind === 'firefox' ? launchFirefox(microphone, scheme) : launchChromium(microphone, scheme));
  const { page } = browser;
  page.on('console', (message) => log(message.text()));
  page.on('pageerror', (error) => log(`page error: ${error.message}`));
  return {
    ...browser,
    keyboard: page.keyboard,
    open: (address) => page.goto(address),
    evaluate: (work, given) => page.evaluate(work, given),
    picture: (path) => page.screenshot({ path, fullPage: true }),
  };
}

async function launchChromium({ permission }, scheme) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox', ...PERMISSION_IN_CHROMIUM[permission],
      '--use-fake-device-for-media-stream', '--autoplay-policy=no-user-gesture-required', '--ignore-certificate-errors',
      `--host-resolver-rules=MAP ${INSECURE} 127.0.0.1`,
      '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run', '--disable-quic',
    ],
  });
  const page = await browser.newPage({ colorScheme: scheme });
  return {
    page,
    version: `Chromium ${browser.version()}`,
    until: (holds, given, timeout = 30_000) => page.waitForFunction(holds, given, { timeout }),
    resize: (width, height) => page.setViewportSize({ width, height }),
    close: () => browser.close(),
  };
}

async function launchFirefox({ frequency, permission }, scheme) {
  const browser = await puppeteer.launch({
    browser: 'firefox',
    executablePath: process.env.FIREFOX ?? '/usr/bin/firefox-esr',
    headless: true,
    acceptInsecureCerts: true,
    protocolTimeout: 600_000,
    extraPrefsFirefox: {
      'media.navigator.streams.fake': true,
      'media.navigator.permission.disabled': permission !== 'refused',
      // A fake microphone needs no permission, so the addresses stay hidden.
      'permissions.default.microphone': { unasked: 0, given: 1, refused: 2 }[permission],
      'media.navigator.audio.fake_frequency': frequency,
      'media.autoplay.default': 0,
      // The codec is a download: a Firefox offers H.264 once it has it.
      'media.gmp-gmpopenh264.enabled': false,
      'network.dns.localDomains': INSECURE,
      'layout.css.prefers-color-scheme.content-override': scheme === 'dark' ? 0 : 1,
    },
  });
  const page = await browser.newPage();
  return {
    page,
    version: await browser.version(),
    until: (holds, given, timeout = 30_000) => page.waitForFunction(holds, { timeout }, given),
    resize: (width, height) => page.setViewport({ width, height }),
    close: () => browser.close(),
  };
}
