// What every client program here shares: one JSON object a line, commands in and events out.

import { createInterface } from 'node:readline';
import WebSocket from 'ws';

// COMPAT(Node.js 20, until 22 is the oldest one in Debian): no WebSocket of its own.
globalThis.WebSocket ??= WebSocket;

/** What the test gave this program: domain, url, username, password, resource. */
export const given = JSON.parse(process.argv[2]);

/** Tells the test what happened. */
export function tell(event, fields = {}) {
  process.stdout.write(JSON.stringify({ event, ...fields }) + '\n');
}

/** Obeys the test: `commands` maps a command's name to what does it. */
export function obey(commands) {
  createInterface({ input: process.stdin }).on('line', async line => {
    const { do: name, ...given } = JSON.parse(line);
    try {
      await commands[name](given);
    } catch (error) {
      tell('failed', { command: name, text: String(error) });
    }
  });
}

for (const event of ['uncaughtException', 'unhandledRejection']) {
  process.on(event, error => tell('crashed', { text: String(error?.stack ?? error) }));
}
