// Twelve keys, on the page and on the keyboard.

const KEYS = ['1', '2 abc', '3 def', '4 ghi', '5 jkl', '6 mno', '7 pqrs', '8 tuv', '9 wxyz', '*', '0 +', '#'];

/**
 * Fills `element` with keys. Calls `press` with the digit of a pressed key, also for keys of the keyboard while
 * `takesKeys()` is true and the focus is in the element `keyboard`.
 */
export function makeKeypad(element, { press, keyboard, takesKeys }) {
  const buttons = new Map(KEYS.map((key) => {
    const [tone, letters = ''] = key.split(' ');
    return [tone, button(tone, letters, () => press(tone))];
  }));
  element.append(...buttons.values());
  keyboard.addEventListener('keydown', (event) => {
    const key = buttons.get(event.key);
    if (!key || !takesKeys() || event.repeat || !isAlone(event)) return;
    event.preventDefault();
    key.click();
    key.animate([{ scale: 0.92 }, { scale: 1 }], 150); // shows the press
  });
}

/** Whether a key is pressed alone: with modifiers it is meant for the browser, during composition for the input method. */
export function isAlone({ ctrlKey, altKey, metaKey, isComposing }) {
  return !(ctrlKey || altKey || metaKey || isComposing);
}

function button(tone, letters, press) {
  const key = Object.assign(document.createElement('button'), { type: 'button' });
  const small = Object.assign(document.createElement('small'), { textContent: letters, ariaHidden: 'true' });
  key.append(tone, small);
  key.addEventListener('click', press);
  return key;
}
