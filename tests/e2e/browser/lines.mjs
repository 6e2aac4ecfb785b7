// The protocol between the tests and a browser, line by line.
//
// stdin:  {"id": 1, "method": "dial", "arguments": ["echo"]}
// stdout: {"id": 1, "value": …} or {"id": 1, "error": "…"}; {"log": "…"} for the page's console

import { createInterface } from 'node:readline';

export const print = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
export const log = (text) => print({ log: text });

/** Calls `perform(method, given)` for each input line, until the input ends. */
export async function obey(perform) {
  const pending = new Set();
  for await (const line of createInterface({ input: process.stdin })) {
    const answering = answer(JSON.parse(line), perform).finally(() => pending.delete(answering));
    pending.add(answering);
  }
  await Promise.allSettled(pending);
}

async function answer({ id, method, arguments: given }, perform) {
  try {
    print({ id, value: (await perform(method, given ?? [])) ?? null });
  } catch (error) {
    print({ id, error: error.message });
  }
}
