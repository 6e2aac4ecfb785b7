// A user of the demo page with a keyboard and no mouse. Input lines call methods of `User`, see `lines.mjs`.
//
//   node user.mjs chromium|firefox given|refused <frequency of Firefox's microphone> light|dark
//
// The end of stdin closes the browser.

import { launch } from './launch.mjs';
import { log, obey, print } from './lines.mjs';

const STOPS = 60; // more key presses than any control of the page needs

const LOUD = -50; // dB
const MOMENT = 5000; // milliseconds

class User {
  #browser;

  constructor(browser) {
    this.#browser = browser;
  }

  open(address) {
    return this.#browser.open(address).then(() => null);
  }

  resize(width, height) {
    return this.#browser.resize(width, height);
  }

  /** One key, or two with a plus between them. */
  async press(keys) {
    const [key, held] = keys.split('+').reverse();
    if (held) await this.#browser.keyboard.down(held);
    await this.#browser.keyboard.press(key);
    if (held) await this.#browser.keyboard.up(held);
  }

  type(text) {
    return this.#browser.keyboard.type(text);
  }

  /**
   * Presses Tab, or Shift and Tab, until the control with this name has the focus. Fails if the focus is not visible on the
   * way. Never wraps around the end of the page, where the focus moves to the browser's own controls.
   */
  async goTo(control) {
    const key = (await this.#isBehind(control)) ? 'Shift+Tab' : 'Tab';
    const passed = [];
    while (passed.length < STOPS) {
      const { name, shown } = await this.focus();
      if (!shown && passed.length > 0) throw new Error(`on the way to ${control} the focus on ${name} is not visible`);
      if (name === control) return;
      passed.push(name);
      await this.press(key);
    }
    throw new Error(`${key} never leads to ${control}, but through ${[...new Set(passed)].join(', ')}`);
  }

  /** The control that has the focus, and whether that is visible. */
  focus() {
    return this.#browser.evaluate(() => {
      const element = document.activeElement;
      const { outlineStyle, outlineWidth } = getComputedStyle(element);
      const outlined = outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2;
      return { name: element.id || element.name || element.localName, shown: outlined };
    });
  }

  /** Waits until the text of an element, or its attribute `attribute`, contains `part`; returns the whole text. */
  async read(selector, part, seconds, attribute = null) {
    const read = ([selector, attribute]) => {
      const element = document.querySelector(selector);
      return attribute ? element?.getAttribute(attribute) : element?.textContent;
    };
    const holds = ([selector, attribute, part]) => {
      const element = document.querySelector(selector);
      return (attribute ? element?.getAttribute(attribute) : element?.textContent)?.includes(part);
    };
    try {
      await this.#browser.until(holds, [selector, attribute, part], seconds * 1000);
    } catch {
      const said = await this.#browser.evaluate(read, [selector, attribute]);
      throw new Error(`${selector} does not say “${part}” but “${said}”`);
    }
    return this.#browser.evaluate(read, [selector, attribute]);
  }

  /** The value of a control, once it has one. */
  async value(selector, seconds) {
    await this.#browser.until((selector) => document.querySelector(selector)?.value, selector, seconds * 1000);
    return this.#browser.evaluate((selector) => document.querySelector(selector).value, selector);
  }

  /** The texts of all elements of this kind. */
  texts(selector) {
    return this.#browser.evaluate((selector) => [...document.querySelectorAll(selector)].map((one) => one.textContent), selector);
  }

  /** Chooses the last of the options of a list, as with its arrow keys; returns its text. */
  choose(selector) {
    return this.#browser.evaluate((selector) => {
      const list = document.querySelector(selector);
      list.selectedIndex = list.options.length - 1;
      list.dispatchEvent(new Event('change', { bubbles: true }));
      return list.selectedOptions[0].textContent;
    }, selector);
  }

  /** The label of the microphone that the call uses, of the camera (`null` without), and the speaker's device. */
  devices() {
    return this.#browser.evaluate(() => {
      const tracks = window.connection.getSenders().map(({ track }) => track);
      const label = (kind) => tracks.find((track) => track?.kind === kind)?.label ?? null;
      return { microphone: label('audio'), camera: label('video'), speaker: document.querySelector('#remote').sinkId ?? null };
    });
  }

  /** Waits until a video is shown and moves. */
  async seesPicture(selector, seconds) {
    const moves = (selector) => {
      const video = document.querySelector(selector);
      return video.checkVisibility() && video.videoWidth > 0 && video.getVideoPlaybackQuality().totalVideoFrames > 5;
    };
    await this.#browser.until(moves, selector, seconds * 1000).catch(() => { throw new Error(`${selector} shows nothing`); });
  }

  /** Waits until a level meter is between these decibels. */
  async level(meter, least, most, seconds) {
    const holds = ([meter, least, most]) => {
      const level = Number(document.getElementById(meter).ariaValueNow);
      return least <= level && level <= most;
    };
    await this.#browser.until(holds, [meter, least, most], seconds * 1000).catch(async () => {
      const text = await this.#browser.evaluate((meter) => document.getElementById(meter).ariaValueText, meter);
      throw new Error(`the meter ${meter} is not between ${least} and ${most} dB but says “${text}”`);
    });
  }

  /** The names of controls that do not fit on the screen or are too small for a finger. */
  misfits() {
    return this.#browser.evaluate(() => {
      const targets = [...document.querySelectorAll('button, input, select, textarea, summary')].filter((one) => one.checkVisibility());
      const { clientWidth, scrollWidth } = document.documentElement;
      const small = targets.filter((one) => {
        const { width, height } = one.getBoundingClientRect();
        return width < 44 || height < 44;
      });
      const beyond = targets.filter((one) => one.getBoundingClientRect().right > clientWidth);
      const names = [...small, ...beyond].map((one) => one.id || one.name || one.textContent);
      if (scrollWidth > clientWidth) names.push(`the page, ${scrollWidth} wide on a screen of ${clientWidth}`);
      return names;
    });
  }

  /** From now on the latest connection is kept for `iceServers()` and `devices()`. */
  noteConnections() {
    return this.#browser.evaluate(() => {
      window.RTCPeerConnection = class extends RTCPeerConnection {
        constructor(configuration) {
          super(configuration);
          window.connection = this;
          window.configuration = configuration;
        }
      };
    });
  }

  /** From now on `requestFor()` knows the addresses that the page fetches. */
  noteRequests() {
    return this.#browser.evaluate(() => {
      const original = window.fetch;
      window.requests = [];
      window.fetch = (address, options) => {
        window.requests.push(new URL(address, location));
        return original(address, options);
      };
    });
  }

  requestFor(words) {
    return this.#browser.evaluate((words) => {
      const found = window.requests.findLast(({ href }) => href.includes(words));
      return found ? found.pathname + found.search : null;
    }, words);
  }

  forgetReport() {
    return this.#browser.evaluate(() => { document.querySelector('#report').value = ''; });
  }

  iceServers() {
    return this.#browser.evaluate(() => window.configuration?.iceServers ?? []);
  }

  /** From now on ICE fails: the browser's checks carry a wrong password. */
  spoilIce() {
    return this.#spoil('^(a=ice-pwd:)\\S{22}', '$1aWrongPasswordOfTwoAnd20');
  }

  /** From now on the DTLS handshake fails: the browser is told a wrong fingerprint. */
  spoilDtls() {
    return this.#spoil('^(a=fingerprint:\\S+ )(..):(\\S+)', '$1$3:$2');
  }

  /** From now on the browser's question for the microphone stays open until `answerAsked()`. */
  holdAsked() {
    return this.#browser.evaluate(() => {
      const original = MediaDevices.prototype.getUserMedia;
      const asked = new Promise((answer) => { window.answerAsked = answer; });
      MediaDevices.prototype.getUserMedia = function held(wanted) {
        return asked.then(() => original.call(this, wanted));
      };
    });
  }

  answerAsked() {
    return this.#browser.evaluate(() => window.answerAsked());
  }

  store(key, value) {
    return this.#browser.evaluate(([key, value]) => { localStorage.setItem(key, value); }, [key, value]);
  }

  /** From now on the browser keeps nothing, as in some private modes. */
  spoilStorage() {
    return this.#browser.evaluate(() => {
      Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no storage', 'SecurityError'); } });
    });
  }

  /** From now on sockets lead to a port where nobody listens. */
  spoilSockets(port) {
    return this.#browser.evaluate((port) => {
      window.Socket = WebSocket;
      window.WebSocket = class extends Socket {
        constructor(address, protocol) {
          super(`ws://localhost:${port}/`, protocol);
        }
      };
    }, port);
  }

  /** From now on sockets lead to Asterisk again. */
  mendSockets() {
    return this.#browser.evaluate(() => { window.WebSocket = window.Socket; });
  }

  /** The first candidate from the TURN server of the page's `servers.json`; `null` if there is none. */
  relayed() {
    return this.#browser.evaluate(async () => {
      const { iceServers } = await (await fetch('servers.json')).json();
      const connection = new RTCPeerConnection({ iceServers, iceTransportPolicy: 'relay' });
      connection.createDataChannel('');
      const first = new Promise((resolve) => {
        connection.addEventListener('icecandidate', ({ candidate }) => resolve(candidate?.candidate ?? null));
      });
      await connection.setLocalDescription();
      const candidate = await first;
      connection.close();
      return candidate;
    });
  }

  /** A picture of the page; in a call, of a moment at which both ends are heard, if there is one soon. */
  async picture(path) {
    await this.#browser.until(holdLevels, LOUD, MOMENT).catch(() => {});
    await this.#browser.picture(path);
    await this.#browser.evaluate(() => window.held?.forEach(([meter, copy]) => copy.replaceWith(meter)));
  }

  /** Changes something in Asterisk's session description. */
  #spoil(pattern, replacement) {
    return this.#browser.evaluate(([pattern, replacement]) => {
      const { setRemoteDescription } = RTCPeerConnection.prototype;
      RTCPeerConnection.prototype.setRemoteDescription = function spoiled({ type, sdp }) {
        const spoilt = sdp.replace(new RegExp(pattern, 'gm'), replacement);
        return setRemoteDescription.call(this, { type, sdp: spoilt });
      };
    }, [pattern, replacement]);
  }

  #isBehind(control) {
    return this.#browser.evaluate((control) => {
      const named = document.querySelectorAll(`#${control}, [name=${control}]`);
      const target = [...named].find(({ tabIndex }) => tabIndex >= 0);
      return Boolean(document.activeElement.compareDocumentPosition(target) & Node.DOCUMENT_POSITION_PRECEDING);
    }, control);
  }
}

/**
 * In the page: once both levels are this high, copies of the meters stand still in their places. Without a call, or where the
 * microphone is not measured, nothing is held.
 */
function holdLevels(loud) {
  const meters = [...document.querySelectorAll('[role=meter]')];
  const isUnknown = meters.some(({ ariaValueText }) => ariaValueText === 'unknown');
  if (isUnknown || document.querySelector('#ongoing').hidden) return true;
  if (meters.some(({ ariaValueNow }) => Number(ariaValueNow) < loud)) return false;
  window.held = meters.map((meter) => [meter, meter.cloneNode(true)]);
  window.held.forEach(([meter, copy]) => meter.replaceWith(copy));
  return true;
}

const [kind, permission, frequency, scheme] = process.argv.slice(2);
const browser = await launch(kind, { microphone: { permission, frequency: Number(frequency) }, scheme }, log);
const user = new User(browser);
print({ ready: browser.version });
await obey((method, given) => user[method](...given));
await browser.close();
process.exit(0);
