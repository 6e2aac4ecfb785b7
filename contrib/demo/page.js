// The page: forms, buttons and keys in, sentences out.

import { makeKeypad } from './keypad.js';
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

const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
account.elements.server.value = new URLSearchParams(location.search).get('server') ?? `${scheme}://${location.host}/ws`;

account.addEventListener('submit', (event) => {
  event.preventDefault();
  const { server, account: name, password } = account.elements;
  phone.register({ server: server.value.trim(), account: name.value.trim(), password: password.value });
});
dial.addEventListener('submit', (event) => {
  event.preventDefault();
  phone.call(number.value.trim());
});
byId('answer').addEventListener('click', () => phone.answer());
for (const end of ['decline', 'hangup']) byId(end).addEventListener('click', () => phone.hangUp());
mute.addEventListener('click', () => setMuted(mute.ariaPressed !== 'true'));
makeKeypad(byId('keypad'), (tone) => {
  if (up) {
    phone.press(tone);
    byId('digits').textContent += tone;
  } else if (!dial.hidden) {
    number.value += tone;
  }
});
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') phone.hangUp();
  // A key held down is no second press: what was one call is not to become two.
  if (event.key === 'Enter' && event.repeat) event.preventDefault();
});

function hear(fact) {
  say(fact);
  HEARD[fact.kind]?.(fact);
}

const HEARD = {
  registered({ server, account: name }) {
    byId('registration').textContent = `${name} at ${new URL(server).host}`;
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
  byId('keypad').disabled = !registered;
  byId('badge').classList.toggle('on', registered);
  // Out of the way while it is not needed.
  byId('settings').open = !registered;
  if (!registered) byId('registration').textContent = 'not registered';
  else if (!dial.hidden) toNumber();
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
