// Chromium on a page of the server itself, whose WebSockets go over the page's HTTP/2 connection.

import { createHash, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { chromium } from 'playwright-core';
import { given, tell, obey } from './talk.mjs';

const { publicKey } = new X509Certificate(await readFile(given.certificate));
const key = createHash('sha256').update(publicKey.export({ type: 'spki', format: 'der' }));
const browser = await chromium.launchPersistentContext(given.profile, {
  executablePath: '/usr/bin/chromium',
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync',
    '--disable-background-networking', '--disable-component-update',
    `--ignore-certificate-errors-spki-list=${key.digest('base64')}`,
  ],
});
const page = await browser.newPage();

/** Opens WebSockets, and tells what each has agreed on and heard first. */
async function open({ count }) {
  await page.goto(given.page);
  const told = await page.evaluate(async ({ url, count }) => {
    const one = () => new Promise((done, failed) => {
      const socket = new WebSocket(url, 'xmpp');
      socket.onerror = () => failed(new Error('no WebSocket'));
      socket.onopen = () => socket.send(
        "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>");
      socket.onmessage = ({ data }) => done(
        { protocol: socket.protocol, extensions: socket.extensions, data });
      (window.sockets ??= []).push(socket);
    });
    const sockets = [];
    for (let n = 0; n < count; n++) sockets.push(await one());
    const [visit] = performance.getEntriesByType('navigation');
    return { sockets, hop: visit.nextHopProtocol };
  }, { url: given.url, count });
  tell('open', told);
}

async function close() {
  await browser.close();
  tell('closed');
}

obey({ open, close });
