// @xmpp/client (xmpp.js) over WebSocket.

import { given, tell, obey } from './talk.mjs';
import { client, xml } from '@xmpp/client';

const MUC = 'http://jabber.org/protocol/muc';
const PUBSUB = 'http://jabber.org/protocol/pubsub';

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
      tell('message', { from, body: stanza.getChildText('body'), kind: type });
    }
    if (stanza.is('presence')) tell('presence', { from, type, ...inRoom(stanza) });
    const news = stanza.getChild('event', `${PUBSUB}#event`)?.getChild('items');
    if (news) {
      for (const { name, attrs: { id } } of news.getChildElements()) {
        tell('news', { from, node: news.attrs.node, what: name, id });
      }
    }
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

/** What a room says of the occupant whose presence this is. */
function inRoom(presence) {
  const x = presence.getChild('x', `${MUC}#user`);
  if (!x) return {};
  const { role, affiliation, nick } = x.getChild('item')?.attrs ?? {};
  const codes = x.getChildren('status').map(status => Number(status.attrs.code));
  return { role, affiliation, nick, codes, isOwn: codes.includes(110) };
}

/** An element out of `[name, attributes, ...children]`. */
const element = ([name, attributes, ...children]) =>
  xml(name, attributes, ...children.map(one => Array.isArray(one) ? element(one) : one));

/** Asks, and tells the answer under the name of the question. */
async function ask({ name, kind, to, payload }) {
  try {
    const iq = xml('iq', { type: kind, to }, element(payload));
    tell('answer', { name, text: (await xmpp.iqCaller.request(iq)).toString() });
  } catch (error) {
    tell('answer', { name, refused: error.condition ?? String(error) });
  }
}

obey({
  signIn,
  ask,
  join: ({ room, nick }) =>
    xmpp.send(xml('presence', { to: `${room}/${nick}` }, xml('x', { xmlns: MUC }))),
  leave: ({ room, nick }) =>
    xmpp.send(xml('presence', { to: `${room}/${nick}`, type: 'unavailable' })),
  available: ({ to }) => xmpp.send(xml('presence', to ? { to } : {})),
  say: ({ to, body, kind = 'chat' }) =>
    xmpp.send(xml('message', { to, type: kind }, xml('body', {}, body))),
  close: async () => {
    await xmpp.stop();
    tell('closed');
  },
});
