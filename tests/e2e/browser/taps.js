// Watches what any SIP library does in the page: its WebSocket messages and its RTCPeerConnections.

/** Every message so far, in order: `sent` or received, and when (performance.now()). */
export const messages = [];

/** Calls `told` with each new RTCPeerConnection, before the library has it. */
export function watchConnections(told) {
  window.RTCPeerConnection = built(RTCPeerConnection, told);
}

/** Records the messages of each WebSocket from now on, and passes those that are sent to `told`. */
export function watchSockets(told) {
  window.WebSocket = built(WebSocket, (socket) => {
    const send = socket.send.bind(socket);
    socket.send = (data) => {
      messages.push({ sent: true, at: performance.now(), text: data });
      send(data);
      told(data);
    };
    socket.addEventListener('message', ({ data }) => messages.push({ sent: false, at: performance.now(), text: data }));
  });
}

function built(Class, told) {
  return new Proxy(Class, {
    construct(Class, given) {
      const object = new Class(...given);
      told(object);
      return object;
    },
  });
}
