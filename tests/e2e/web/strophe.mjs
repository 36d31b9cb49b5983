// Strophe.js over WebSocket, or over BOSH where the URL says so: version 5, or version 4 with
// `"library": "strophe.js-4"`.

import { given, tell, obey } from './talk.mjs';
import './xhr.mjs';

// Strophe keeps its resumption state where a page would.
const kept = new Map();
globalThis.sessionStorage ??= {
  getItem: key => kept.get(key) ?? null,
  setItem: (key, value) => kept.set(key, String(value)),
  removeItem: key => kept.delete(key),
};

const module = await import(given.library ?? 'strophe.js');
const { Strophe, $msg, $pres } = { ...globalThis, ...module };

let connection = null;
let password = null;

/** One attempt; after a loss the test asks for the next, as a page's own code would. */
function connect() {
  const jid = `${given.username}@${given.domain}/${given.resource}`;
  connection.connect(jid, password, status => {
    if (status === Strophe.Status.CONNECTED) online();
    if (status === Strophe.Status.AUTHFAIL) tell('refused', { condition: 'not-authorized' });
    if (status === Strophe.Status.DISCONNECTED) tell('lost');
  });
}

function online() {
  connection.addHandler(heard, null, 'message');
  connection.addHandler(met, null, 'presence');
  tell(connection.hasResumed?.() ? 'resumed' : 'online', { jid: connection.jid });
}

function heard(message) {
  const body = message.getElementsByTagName('body')[0];
  if (body) tell('message', { from: message.getAttribute('from'), body: body.textContent });
  return true;
}

function met(presence) {
  const type = presence.getAttribute('type') ?? 'available';
  tell('presence', { from: presence.getAttribute('from'), type });
  return true;
}

obey({
  signIn: command => {
    password = command.password;
    connection = new Strophe.Connection(given.url, { enableStreamManagement: true });
    connect();
  },
  reconnect: connect,
  available: ({ to }) => connection.send($pres(to ? { to } : {}).tree()),
  say: ({ to, body }) => connection.send($msg({ to, type: 'chat' }).c('body').t(body).tree()),
  close: () => {
    connection.disconnect('done');
    tell('closed');
  },
});
