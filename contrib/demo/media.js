// Opens a microphone or a camera.

/**
 * Asks for a device of this kind, `audio` or `video`; an empty `device` is the system's, which is also taken if the other one is
 * gone. Fails like `getUserMedia()`, or with `SecurityError` on an insecure page.
 */
export async function open(kind, device) {
  if (!navigator.mediaDevices) throw new DOMException('the page is not secure', 'SecurityError');
  const get = (wanted) => navigator.mediaDevices.getUserMedia({ [kind]: wanted });
  if (!device) return get(true);
  return get({ deviceId: { exact: device } }).catch((error) => {
    if (GONE.includes(error.name)) return get(true);
    throw error;
  });
}

const GONE = ['OverconstrainedError', 'NotFoundError'];
