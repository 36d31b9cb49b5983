// @xmpp/client (xmpp.js) over WebSocket.

import { given, tell, obey } from './talk.mjs';
import { client, xml } from '@xmpp/client';

let xmpp = null;

function signIn({ password }) {
  xmpp = client({
    service: given.url,
    domain: given.domain,
    resource: given.resource,
    username: given.username,
    password,
  });
  xmpp.reconnect.delay = 100;
  xmpp.on('error', error => {
    if (error.condition === 'not-authorized') {
      xmpp.reconnect.stop();
      tell('refused', { condition: error.condition });
    } else {
      tell('error', { text: String(error) });
    }
  });
  xmpp.on('online', async jid => {
    await managed();
    tell('online', { jid: jid.toString() });
  });
  xmpp.on('disconnect', () => tell('lost'));
  xmpp.on('offline', () => tell('offline'));
  xmpp.streamManagement.on('resumed', () => tell('resumed'));
  xmpp.on('stanza', stanza => {
    const { from, type = 'available' } = stanza.attrs;
    if (stanza.is('message') && stanza.getChild('body')) {
      tell('message', { from, body: stanza.getChildText('body') });
    }
    if (stanza.is('presence')) tell('presence', { from, type });
  });
  xmpp.start().catch(() => {});
}

/**
 * COMPAT(xmpp.js 0.14, until it counts from <enabled/> on): it resets its count of received stanzas
 * a moment after <enabled/>, and forgets those that came in the same packet.
 */
async function managed() {
  for (let i = 0; i < 100 && !xmpp.streamManagement.enabled; i++) {
    await new Promise(done => setTimeout(done, 10));
  }
}

obey({
  signIn,
  available: ({ to }) => xmpp.send(xml('presence', to ? { to } : {})),
  say: ({ to, body }) => xmpp.send(xml('message', { to, type: 'chat' }, xml('body', {}, body))),
  close: async () => {
    await xmpp.stop();
    tell('closed');
  },
});
