// Twelve keys, on the page and on the keyboard.

const KEYS = ['1', '2 abc', '3 def', '4 ghi', '5 jkl', '6 mno', '7 pqrs', '8 tuv', '9 wxyz', '*', '0 +', '#'];

/** Fills `element` with keys. `press` is called with a digit when one is pressed. */
export function makeKeypad(element, press) {
  const buttons = new Map(KEYS.map((key) => {
    const [tone, letters = ''] = key.split(' ');
    return [tone, button(tone, letters, () => press(tone))];
  }));
  element.append(...buttons.values());
  document.addEventListener('keydown', (event) => {
    const key = buttons.get(event.key);
    if (!key || element.disabled || event.repeat || isForOthers(event)) return;
    event.preventDefault();
    key.click();
    key.animate([{ scale: 0.92 }, { scale: 1 }], 150); // as a finger would see it
  });
}

function button(tone, letters, press) {
  const key = Object.assign(document.createElement('button'), { type: 'button' });
  const small = Object.assign(document.createElement('small'), { textContent: letters, ariaHidden: 'true' });
  key.append(tone, small);
  key.addEventListener('click', press);
  return key;
}

/** Text fields get what is typed into them, and the browser its own shortcuts. */
function isForOthers({ target, ctrlKey, altKey, metaKey }) {
  return ctrlKey || altKey || metaKey || target.matches('input');
}
