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
const SIGNED_IN = 'converse-user-profile, #user-profile, converse-controlbox-buttons';

/** Serves the page and Converse's own files on a free loopback port. */
async function serve() {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    // What encrypts asks for its own code beside the page.
    const isCode = pathname.startsWith('/dist/') || pathname.endsWith('.wasm');
    const inside = isCode ? normalize(pathname.replace(/^\/dist/, '')) : null;
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

/** All that the page has sent and heard since it was opened last: stanzas in either framing. */
const traffic = { sent: [], heard: [] };
page.on('websocket', socket => {
  socket.on('framesent', ({ payload }) => traffic.sent.push(String(payload)));
  socket.on('framereceived', ({ payload }) => traffic.heard.push(String(payload)));
});
page.on('request', request => {
  if (request.url().endsWith('/http-bind')) traffic.sent.push(request.postData() ?? '');
});
/** Files that came over HTTP, by address. */
const files = new Map();
page.on('response', async response => {
  const url = response.url();
  if (!url.includes('/upload/') || response.request().method() !== 'GET') return;
  const body = await response.body().catch(() => null);
  if (body) files.set(url, { status: response.status(), headers: response.headers(), body });
});

let address;

async function open() {
  traffic.sent.length = traffic.heard.length = 0;
  await page.goto(address);
}

async function signIn({ password }) {
  const port = await serve();
  const kind = given.url.startsWith('http') ? 'bosh' : 'websocket';
  address = `http://localhost:${port}/?${kind}=${encodeURIComponent(given.url)}`;
  await open();
  await page.fill('input[name=jid]', `${given.username}@${given.domain}`);
  await page.fill('input[name=password]', password);
  await page.click('converse-login-form [type=submit]');
  await page.waitForSelector(SIGNED_IN);
  tell('online');
}

/** Nobody is there to type a password: the page must come back by itself. */
async function comeBack() {
  await open();
  await page.waitForSelector(SIGNED_IN);
  await page.waitForFunction(() => !document.querySelector('converse-login-form'));
  tell('online', {
    isResumed: traffic.heard.some(text => text.startsWith('<resumed')),
    hasTypedPassword: traffic.sent.some(text => text.includes("mechanism=\"PLAIN\"")),
    hasNewSession: traffic.sent.some(text => text.includes('urn:ietf:params:xml:ns:xmpp-bind')),
  });
}

async function leave() {
  await page.goto('about:blank');
  tell('left');
}

async function talkTo({ to }) {
  await page.evaluate(jid => { location.hash = `converse/chat?jid=${jid}`; }, to);
  await page.locator('textarea.chat-textarea').first().waitFor();
  tell('talking');
}

async function say({ to, body }) {
  await page.evaluate(jid => { location.hash = `converse/chat?jid=${jid}`; }, to);
  const field = page.locator('textarea.chat-textarea').first();
  await field.fill(body);
  await field.press('Enter');
}

/** Closes or opens the lock of the conversation. */
async function lock() {
  const button = page.locator('.toggle-omemo:not([data-disabled=true])').first();
  await button.click();
  await page.locator('.toggle-omemo .fa-lock').first().waitFor();
  tell('locked');
}

const saying = text =>
  page.locator(`converse-chat-message-body:has-text(${JSON.stringify(text)})`);

async function shows({ text }) {
  await saying(text).first().waitFor();
  tell('shown', { text });
}

/** How often each of these texts stands in the open conversation. */
async function counts({ texts }) {
  const found = [];
  for (const text of texts) found.push(await saying(text).count());
  tell('counted', { found });
}

const room = () => page.locator('converse-muc').first();

/** Opens a room and chooses a name in it. */
async function enterRoom({ to, nick }) {
  await page.evaluate(jid => { location.hash = `converse/room?jid=${jid}`; }, to);
  await room().locator('input[name=nick]').fill(nick);
  await room().locator('input[name=join]').click();
  await room().locator('textarea.chat-textarea').waitFor();
  tell('entered');
}

/** Says something in the room, or gives one of Converse's commands. */
async function sayInRoom({ body }) {
  const field = room().locator('textarea.chat-textarea');
  await field.fill(body);
  await field.press('Enter');
}

/** Waits until exactly these people are in the list of occupants, and not grey. */
async function company({ nicks }) {
  await page.waitForFunction(wanted => {
    const found = [...document.querySelectorAll('converse-muc-occupants .occupant')]
      .filter(one => !one.querySelector('.chat-status').getAttribute('color').includes('offline'))
      .map(one => one.querySelector('.occupant-nick').textContent.trim());
    return JSON.stringify(found.sort()) === wanted;
  }, JSON.stringify([...nicks].sort()));
  tell('company', { nicks });
}

/** Takes back what somebody said, with a reason, through the message's menu. */
async function retract({ text, reason }) {
  const message = page.locator(`converse-chat-message:has-text(${JSON.stringify(text)})`).last();
  await message.hover();
  await message.locator('.chat-msg__actions button').first().click();
  await message.locator('.chat-msg__action-retract').click();
  const form = page.locator('converse-confirm-modal form.confirm, form.confirm').last();
  await form.locator('input[type=text]').fill(reason);
  await form.locator('[type=submit]').click();
  await page.locator(`.retraction:has-text(${JSON.stringify(reason)})`).waitFor();
  tell('retracted', { text });
}

/** Scrolls up until something that was said long ago stands there. */
async function scrollBack({ text }) {
  const said = saying(text).first();
  for (let i = 0; i < 60 && !await said.isVisible(); i++) {
    await page.locator('.chat-content__messages:visible').first().evaluate(element => {
      element.scrollTop = -element.scrollHeight;
      element.dispatchEvent(new Event('scroll'));
    });
    await page.waitForTimeout(200);
  }
  await said.waitFor();
  await said.scrollIntoViewIfNeeded();
  tell('found', { text });
}

async function upload({ file }) {
  // The button is there once the service has been discovered.
  await page.locator('.chat-toolbar input.fileupload').setInputFiles(file);
}

/** A picture that the browser has drawn, and the bytes that it drew it from. */
async function pictured({ name }) {
  const image = page.locator(`img.chat-image[src*=${JSON.stringify(name)}]`).first();
  await image.waitFor();
  await image.evaluate(element => new Promise((done, fail) => {
    const check = () => element.naturalWidth ? done() : fail(new Error('it is broken'));
    if (element.complete) return check();
    element.addEventListener('load', check);
    element.addEventListener('error', () => fail(new Error('it did not load')));
  }));
  const { src, width, height } = await image.evaluate(element => ({
    src: element.src, width: element.naturalWidth, height: element.naturalHeight,
  }));
  const { status, headers, body } = files.get(src);
  const hash = createHash('sha256').update(body).digest('hex');
  tell('pictured', { src, width, height, status, headers, size: body.length, hash });
}

obey({
  signIn, comeBack, leave, talkTo, say, shows, counts, upload, pictured,
  enterRoom, sayInRoom, company, retract, scrollBack, lock,
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
