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
/** That the call is up, while it is. */
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
  // Only of who is at the call: elsewhere a single key may be somebody's word for something else (WCAG 2.1.4).
  keyboard: byId('line'),
  takesKeys: () => up !== null,
});
document.addEventListener('keydown', (event) => {
  // In a field it may be meant for what the browser has opened there.
  if (event.key === 'Escape' && isAlone(event) && !event.target.matches('input')) phone.hangUp();
  // A key held down is no second press: what was one call is not to become two.
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
    // Who has waited for it goes on to the number. Who is at something else when the socket is opened again stays there.
    if (document.activeElement === waitingAt && !dial.hidden) toNumber();
    waitingAt = null;
    setRegistered(true);
    // The socket may have been closed and opened again under the call.
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
  // Not to a button: what is being typed would press it. They come next.
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
  // Out of the way while it is not needed.
  const settings = byId('settings');
  settings.open = !registered || settings.contains(document.activeElement);
}

/** Digits go the way of the sound: a call has them while the socket is closed, too. */
function enableKeypad() {
  byId('keypad').disabled = byId('call').disabled && !up;
}

/** What is typed next is another number. */
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
  // What is read aloud is read once.
  if (!sentence || sentence.text === byId('sentence').textContent) return;
  byId('status').className = sentence.tone;
  byId('sentence').textContent = sentence.text;
  byId('look').textContent = sentence.look;
}
