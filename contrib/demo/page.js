// The page: forms, buttons and keys in, sentences out.

import { isAlone, makeKeypad } from './keypad.js';
import { Phone } from './phone.js';
import { Quality } from './quality.js';
import { sentenceFor } from './sentences.js';

const byId = (id) => document.getElementById(id);
const account = byId('account');
const dial = byId('dial');
const { number } = dial.elements;
const mute = byId('mute');

const phone = new Phone(hear);
const quality = new Quality(phone, (kind) => say(kind ? { kind } : up));
/** The message that the call is up, during the call. */
let up = null;
/** Where the focus was when Register was pressed, until something is typed there. */
let waitingAt = null;

const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
account.elements.server.value = new URLSearchParams(location.search).get('server') ?? `${scheme}://${location.host}/ws`;

account.addEventListener('submit', (event) => {
  event.preventDefault();
  const { server, account: name, password } = account.elements;
  waitingAt = document.activeElement;
  phone.register({ server: server.value.trim(), account: name.value.trim(), password: password.value });
});
account.addEventListener('input', () => { waitingAt = null; });
dial.addEventListener('submit', (event) => {
  event.preventDefault();
  phone.call(number.value.trim());
});
byId('answer').addEventListener('click', () => phone.answer());
for (const end of ['decline', 'hangup']) byId(end).addEventListener('click', () => phone.hangUp());
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
  if (event.key === 'Escape' && isAlone(event) && !event.target.matches('input')) phone.hangUp();
  // Ignore repeats of a held key: one press must not make two calls.
  if (event.key === 'Enter' && event.repeat) event.preventDefault();
});

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
  calling: ({ peer }) => showCall(peer, 'Calling', ['hangup']),
  incoming: ({ peer }) => showCall(peer, 'Incoming call', ['answer', 'decline']),
  up(fact) {
    up = fact;
    enableKeypad();
    showCall(fact.peer, 'In call', ['mute', 'hangup']);
    quality.start();
  },
  track({ track }) {
    byId('remote').srcObject = new MediaStream([track]);
  },
  ended: showNoCall,
  failed: showNoCall,
};

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

function say(fact) {
  const sentence = sentenceFor(fact);
  // Do not repeat a message: a screen reader would read it again.
  if (!sentence || sentence.text === byId('sentence').textContent) return;
  byId('status').className = sentence.tone;
  byId('sentence').textContent = sentence.text;
  byId('look').textContent = sentence.look;
}
