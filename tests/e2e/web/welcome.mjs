// The page of the first minutes in headless Chromium, by keyboard only.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { given, tell, obey } from './talk.mjs';

const VIEWS = {
  light: { colorScheme: 'light', width: 1200, height: 900 },
  dark: { colorScheme: 'dark', width: 1200, height: 900 },
  phone: { colorScheme: 'light', width: 390, height: 844 },
};

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
});
const context = await browser.newContext({ deviceScaleFactor: 2 });
const page = await context.newPage();
page.setDefaultTimeout(15_000);

/** What the page must not do: fail, or load anything from elsewhere. */
const faults = [];
page.on('pageerror', error => faults.push(String(error)));
page.on('console', message => message.type() === 'error' && faults.push(message.text()));
page.on('request', request => {
  if (!request.url().startsWith(new URL(given.url).origin)) faults.push(request.url());
});

const press = key => page.keyboard.press(key);
const focused = () => page.evaluate(() => document.activeElement.id);
const text = id => page.locator(`#${id}`).textContent();

/** One picture of the page in each view. */
async function picture(title) {
  for (const [view, { colorScheme, width, height }] of Object.entries(VIEWS)) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height });
    const isWider = await page.evaluate(() => document.body.scrollWidth > innerWidth);
    assert.ok(!isWider, `${title} is too wide for ${view}`);
    await page.screenshot({ path: join(given.artefacts, `${title}-${view}.png`), fullPage: true });
  }
}

/** Fills the form: first with nothing, then with a mistake, then well. */
async function create({ name }) {
  const answer = await page.goto(given.url);
  assert.equal(answer.headers()['cache-control'], 'no-store');
  assert.equal(await focused(), 'name');
  await press('Enter');
  assert.equal(await text('name-error'), 'Choose a name.');
  assert.equal(await focused(), 'name');
  await page.keyboard.type(`${name} `);
  await page.keyboard.type('x');
  assert.equal(await text('name-error'), 'A name has no spaces.');
  await press('Backspace');
  await press('Backspace');
  assert.equal(await text('preview'), `${name.toLowerCase()}@${given.domain}`);

  await press('Tab');
  assert.equal(await focused(), 'password');
  await press('Tab');
  assert.equal(await focused(), 'show');
  await press('Tab');
  assert.equal(await focused(), 'generate');
  await press('Enter');
  assert.equal(await focused(), 'password');
  const password = await page.inputValue('#password');
  assert.match(password, /^\w{5}(-\w{5}){3}$/);
  await press('Shift+Tab');
  await press('Tab');
  await picture('welcome');
  await press('Enter');

  await page.waitForSelector('#done-title');
  await page.waitForFunction(() => document.activeElement.id === 'done-title');
  const address = await text('jid');
  assert.equal(await page.getAttribute('#open', 'href'), `xmpp:${address}`);
  assert.match(await page.getAttribute('#qr svg', 'aria-label'), new RegExp(`xmpp:${address}`));
  await picture('welcome-done');
  tell('created', { address, password });
}

/** The link again, and the page at `/`. */
async function again() {
  const spent = await page.goto(given.url);
  assert.equal(spent.status(), 410);
  assert.equal(await page.locator('h1').textContent(), 'This link is spent');
  await picture('welcome-spent');
  await page.goto(new URL('/', given.url).href);
  assert.equal(await page.locator('h1').textContent(), 'This is a Waxwing server');
  await picture('home');
  // Chromium says each failed load in the console; this one was meant to fail.
  tell('seen', { faults: faults.filter(fault => !fault.includes('410')) });
}

obey({
  create,
  again,
  close: async () => {
    await browser.close();
    tell('closed');
    process.exit(0);
  },
});
