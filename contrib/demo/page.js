// The page: forms, buttons and keys in, sentences out.

import { Calls } from './calls.js';
import { Devices } from './devices.js';
import { isAlone, makeKeypad } from './keypad.js';
import { Phone } from './phone.js';
import { Pictures } from './pictures.js';
import { Quality } from './quality.js';
import { Report } from './report.js';
import { sentenceFor } from './sentences.js';
import { Servers } from './servers.js';

const byId = (id) => document.getElementById(id);
const account = byId('account');
const dial = byId('dial');
const { number } = dial.elements;
const mute = byId('mute');

const servers = new Servers();
const devices = new Devices(
  { microphone: byId('microphone'), speaker: byId('speaker'), camera: byId('camera') }, useDevice,
);
const pictures = new Pictures();
const phone = new Phone(hear, {
  iceServers: () => servers.readIceServers(),
  microphone: () => devices.chosen('microphone'),
  camera: () => (byId('camera-switch').checked ? devices.chosen('camera') : null),
});
const calls = new Calls(byId('calls'), callAgain);
const report = new Report();
const quality = new Quality(phone, (kind) => say(kind ? { kind } : up), report);
/** The message that the call is up, during the call. */
let up = null;
/** Where the focus was when Register was pressed, until something is typed there. */
let waitingAt = null;

const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
const wanted = new URLSearchParams(location.search).get('server');
account.elements.server.value = account.elements.server.defaultValue = wanted ?? `${scheme}://${location.host}/ws`;
const ready = servers.read().then(showServers);

account.addEventListener('submit', async (event) => {
  event.preventDefault();
  const { server, account: name, password } = account.elements;
  waitingAt = document.activeElement;
  await ready;
  phone.register({ servers: servers.from(server.value.trim()), account: name.value.trim(), password: password.value });
});
account.addEventListener('input', ({ target }) => {
  waitingAt = null;
  if (target === account.elements.server) showOthers();
});
dial.addEventListener('submit', (event) => {
  event.preventDefault();
  phone.call(number.value.trim());
});
byId('answer').addEventListener('click', () => phone.answer());
for (const end of ['decline', 'hangup']) byId(end).addEventListener('click', () => phone.hangUp());
byId('camera-switch').addEventListener('change', ({ target }) => { byId('camera-label').hidden = !target.checked; });
byId('speaker-label').hidden = !('setSinkId' in HTMLMediaElement.prototype);
listDevices();
byId('copy').addEventListener('click', copyReport);
mute.addEventListener('click', () => setMuted(mute.ariaPressed !== 'true'));
makeKeypad(byId('keypad'), {
  press(tone) {
    if (up) {
      phone.press(tone);
      byId('digits').textContent += tone;
    } else if (!dial.hidden) {
      number.value += tone;
    }
  },
  // Only if the focus is at the call: elsewhere a single key may be a shortcut for something else (WCAG 2.1.4).
  keyboard: byId('line'),
  takesKeys: () => up !== null,
});
document.addEventListener('keydown', (event) => {
  // In a field, the key may be meant for something that the browser has opened there.
  if (event.key === 'Escape' && isAlone(event) && !event.target.matches('input, select')) phone.hangUp();
  // Ignore repeats of a held key: one press must not make two calls.
  if (event.key === 'Enter' && event.repeat) event.preventDefault();
});

/** Puts the first server of the file into the form, unless another one is wanted. */
function showServers() {
  const { server } = account.elements;
  if (servers.first && !wanted && server.value === server.defaultValue) server.value = servers.first;
  showOthers();
  if (servers.fault) say(servers.fault);
}

function showOthers() {
  const others = servers.from(account.elements.server.value.trim()).slice(1);
  byId('others').hidden = others.length === 0;
  byId('others').textContent = `If it cannot be reached: ${others.join(', ')}`;
}

/** Uses a device that was chosen. A microphone is changed in a call, a camera with the next one. */
function useDevice(name, device) {
  if (name === 'speaker') useSpeaker(device);
  if (name === 'microphone') phone.changeMicrophone(device);
}

/** Firefox before 116 and Safari have one speaker: the system's. */
function useSpeaker(device) {
  byId('remote').setSinkId?.(device).catch(({ message }) => say({ kind: 'noSpeaker', message }));
}

async function listDevices() {
  await devices.refresh();
  useSpeaker(byId('speaker').value);
}

/** Calls the number of a call of the list, or fills it in if there is no registration or a call already. */
function callAgain(peer) {
  number.value = peer;
  if (dial.hidden) return;
  if (byId('call').disabled) toNumber();
  else dial.requestSubmit();
}

function hear(fact) {
  say(fact);
  HEARD[fact.kind]?.(fact);
}

const HEARD = {
  noAddress: () => setRegistered(false),
  noAccount: () => setRegistered(false),
  opening: () => setRegistered(false),
  registered({ server, account: name }) {
    byId('registration').textContent = `${name} at ${new URL(server).host}`;
    // Move the focus to the number if the user has waited for this. If the socket was reopened later, leave the focus.
    if (document.activeElement === waitingAt && !dial.hidden) toNumber();
    waitingAt = null;
    setRegistered(true);
    // The socket may have been closed and reopened during the call.
    if (up) say(up);
  },
  notRegistered: () => setRegistered(false),
  unreachable: () => setRegistered(false),
  closed: () => setRegistered(false),
  calling(fact) {
    begin(fact);
    showCall(fact.peer, 'Calling', ['hangup']);
  },
  incoming(fact) {
    begin(fact);
    showCall(fact.peer, 'Incoming call', ['answer', 'decline']);
  },
  up(fact) {
    up = fact;
    enableKeypad();
    showCall(fact.peer, 'In call', ['mute', 'hangup']);
    quality.start();
    calls.answer();
    pictures.showOwn(phone.camera);
    // Only now does the browser tell their names.
    listDevices();
  },
  track({ track }) {
    if (track.kind === 'video') pictures.show(track);
    else byId('remote').srcObject = new MediaStream([track]);
  },
  // The call is placed once more.
  noPicture: showNoCall,
  ended: end,
  failed: end,
};

function begin(fact) {
  report.begin(fact);
  byId('reporting').hidden = false;
  calls.begin(fact);
}

function end(fact) {
  calls.end(fact);
  report.end();
  pictures.clear();
  showNoCall();
}

function showCall(peer, state, buttons) {
  dial.hidden = true;
  byId('ongoing').hidden = false;
  byId('peer').textContent = peer;
  byId('state').textContent = state;
  for (const button of byId('ongoing').querySelectorAll('button')) {
    button.hidden = !buttons.includes(button.id);
  }
  // Do not move the focus to a button, which the user's typing would press. The buttons come next.
  byId('peer').focus();
}

function showNoCall() {
  up = null;
  enableKeypad();
  quality.stop();
  dial.hidden = false;
  byId('ongoing').hidden = true;
  byId('digits').textContent = '';
  setMuted(false);
  toNumber();
}

function setRegistered(registered) {
  if (registered === !byId('call').disabled) return;
  byId('call').disabled = !registered;
  enableKeypad();
  byId('badge').classList.toggle('on', registered);
  if (!registered) byId('registration').textContent = 'not registered';
  // Hide it while it is not needed.
  const settings = byId('settings');
  settings.open = !registered || settings.contains(document.activeElement);
}

/** Digits are sent with the media, so they work even while the socket is closed. */
function enableKeypad() {
  byId('keypad').disabled = byId('call').disabled && !up;
}

/** Selects the number, so that typing replaces it. */
function toNumber() {
  number.focus();
  number.select();
}

function setMuted(muted) {
  mute.ariaPressed = muted;
  phone.microphone?.mute(muted);
}

/** Copies the report. Without access to the clipboard, as on an insecure page, it is shown instead, to be copied by hand. */
async function copyReport() {
  const written = byId('report');
  written.value = await report.text();
  const isCopied = await navigator.clipboard?.writeText(written.value).then(() => true, () => false) ?? false;
  written.hidden = isCopied;
  byId('copied').textContent = isCopied ? 'The report is copied.' : 'Copy the report from here:';
  if (isCopied) return;
  written.focus();
  written.select();
}

function say(fact) {
  const sentence = sentenceFor(fact);
  // Do not repeat a message: a screen reader would read it again.
  if (!sentence || sentence.text === byId('sentence').textContent) return;
  byId('status').className = sentence.tone;
  byId('sentence').textContent = sentence.text;
  byId('look').textContent = sentence.look || (servers.fault && sentenceFor(servers.fault).text);
  report.note(sentence, fact.kind);
  byId('reporting').hidden = !report.isWorthIt;
  byId('copied').textContent = '';
}
