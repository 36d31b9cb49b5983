// stanza (stanza.io) over WebSocket.

import { given, tell, obey } from './talk.mjs';
import { createClient } from 'stanza';

let client = null;

function signIn({ password }) {
  client?.removeAllListeners();
  client = createClient({
    jid: `${given.username}@${given.domain}`,
    resource: given.resource,
    password,
    server: given.domain,
    transports: { websocket: given.url, bosh: false },
    autoReconnect: true,
    useStreamManagement: true,
  });
  client.on('auth:failed', () => {
    client.config.autoReconnect = false;
    tell('refused', { condition: 'not-authorized' });
  });
  client.on('session:started', jid => tell('online', { jid: jid ?? client.jid }));
  client.on('stream:management:resumed', () => tell('resumed'));
  client.on('disconnected', () => tell('lost'));
  client.on('message', ({ from, body }) => body && tell('message', { from, body }));
  client.on('presence', ({ from, type = 'available' }) => tell('presence', { from, type }));
  client.connect();
}

obey({
  signIn,
  available: ({ to }) => client.sendPresence(to ? { to } : {}),
  say: ({ to, body }) => client.sendMessage({ to, body, type: 'chat' }),
  close: () => {
    client.on('disconnected', () => tell('closed'));
    client.config.autoReconnect = false;
    client.disconnect();
  },
});
