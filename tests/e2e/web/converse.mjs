// Converse.js in headless Chromium: a page of our own loads it, clicks and keys drive it.

import { createHash, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { chromium } from 'playwright-core';
import { given, tell, obey } from './talk.mjs';

const HERE = import.meta.dirname;
const DIST = join(HERE, '../node_modules/converse.js/dist');
const TYPES = {
  '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json',
  '.svg': 'image/svg+xml', '.wasm': 'application/wasm', '.woff2': 'font/woff2',
};

/** Serves the page and Converse's own files on a free loopback port. */
async function serve() {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    const inside = pathname.startsWith('/dist/') ? normalize(pathname.slice(5)) : null;
    const file = inside ? join(DIST, inside) : join(HERE, 'converse.html');
    try {
      const body = await readFile(file);
      response.setHeader('content-type', TYPES[extname(file)] ?? 'application/octet-stream');
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise(done => server.listen(0, '127.0.0.1', done));
  return server.address().port;
}

/** Chromium trusts this one key, and checks every other certificate as ever. */
async function pin(certificate) {
  const { publicKey } = new X509Certificate(await readFile(certificate));
  const key = publicKey.export({ type: 'spki', format: 'der' });
  const hash = createHash('sha256').update(key).digest('base64');
  return `--ignore-certificate-errors-spki-list=${hash}`;
}

// A new empty profile and no calls to its maker: the machine may have no way out.
const browser = await chromium.launchPersistentContext(given.profile, {
  executablePath: '/usr/bin/chromium',
  viewport: { width: 1200, height: 800 },
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync',
    '--disable-background-networking', '--disable-component-update', await pin(given.certificate),
  ],
});
const page = await browser.newPage();
page.on('console', message => tell('console', { text: message.text().slice(0, 400) }));
page.on('pageerror', error => tell('console', { text: String(error) }));
page.setDefaultTimeout(20_000);

async function signIn({ password }) {
  const port = await serve();
  const kind = given.url.startsWith('http') ? 'bosh' : 'websocket';
  await page.goto(`http://localhost:${port}/?${kind}=${encodeURIComponent(given.url)}`);
  await page.fill('input[name=jid]', `${given.username}@${given.domain}`);
  await page.fill('input[name=password]', password);
  await page.click('converse-login-form [type=submit]');
  await page.waitForSelector('converse-user-profile, #user-profile, converse-controlbox-buttons');
  tell('online');
}

async function say({ to, body }) {
  await page.evaluate(jid => { location.hash = `converse/chat?jid=${jid}`; }, to);
  const field = page.locator('textarea.chat-textarea').first();
  await field.fill(body);
  await field.press('Enter');
}

async function shows({ text }) {
  await page.waitForSelector(`converse-chat-message-body:has-text(${JSON.stringify(text)})`);
  tell('shown', { text });
}

obey({
  signIn,
  say,
  shows,
  picture: async ({ file }) => {
    await page.screenshot({ path: file });
    tell('taken');
  },
  close: async () => {
    await browser.close();
    tell('closed');
    process.exit(0);
  },
});
