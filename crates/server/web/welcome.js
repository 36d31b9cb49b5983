// The page that makes the first account. The server judges; this shows what it says.

const $ = id => document.getElementById(id);
const [form, name, password] = [$('form'), $('name'), $('password')];
const domain = $('domain');

/** Letters and digits that are not taken for one another. */
const LETTERS = 'abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789';
const PASSWORD_LETTERS = 20;

/** RFC 7622 §3.3.1: what no name may contain. Spaces are not allowed either. */
const EXCLUDED = /["&'/:<>@\s]/u;

// The address while it is typed

/** The name as typed; who types the whole address means its first part. */
function typed() {
  const text = name.value.trim();
  const end = `@${domain.value}`;
  return text.toLowerCase().endsWith(end) ? text.slice(0, -end.length) : text;
}

function preview() {
  const local = typed().toLowerCase().normalize('NFC');
  $('preview').textContent = `${local || '…'}@${domain.value}`;
  const wrong = local.match(EXCLUDED)?.[0];
  const why = wrong?.trim() ? `A name cannot contain ${wrong}` : 'A name has no spaces.';
  complain(name, wrong ? why : null);
}

/** Shows, or takes back, what is wrong with a field. */
function complain(field, text) {
  const place = $(`${field.id}-error`);
  place.textContent = text ?? '';
  place.hidden = !text;
  if (text) field.setAttribute('aria-invalid', 'true');
  else field.removeAttribute('aria-invalid');
}

name.addEventListener('input', preview);
domain.addEventListener('change', preview);
password.addEventListener('input', () => complain(password, null));

// The password

function show(isShown) {
  password.type = isShown ? 'text' : 'password';
  $('show').setAttribute('aria-pressed', String(isShown));
  $('show').firstChild.data = isShown ? 'Hide' : 'Show';
}

/** A letter, each as likely as the others. */
function letter() {
  const whole = 256 - 256 % LETTERS.length;
  for (;;) {
    const [byte] = crypto.getRandomValues(new Uint8Array(1));
    if (byte < whole) return LETTERS[byte % LETTERS.length];
  }
}

$('show').addEventListener('click', () => show(password.type === 'password'));
$('generate').addEventListener('click', () => {
  const letters = Array.from({ length: PASSWORD_LETTERS }, letter).join('');
  password.value = letters.match(/.{5}/g).join('-');
  complain(password, null);
  show(true);
  $('said').textContent = 'A password was generated and is shown. Keep it in a safe place.';
  password.focus();
  password.select();
});

// Asking the server

let isAsking = false;

form.addEventListener('submit', async event => {
  event.preventDefault();
  if (isAsking || lacks()) return;
  ask(true);
  try {
    const response = await fetch(`${location.pathname}/account`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: typed(), domain: domain.value, password: password.value }),
    });
    const answer = await response.json();
    if (response.ok) finish(answer);
    else refuse(answer);
  } catch {
    refuse({ message: 'The server does not answer. Is it still running?' });
  } finally {
    ask(false);
  }
});

/** Complains about what is empty or plainly wrong, without asking. */
function lacks() {
  preview();
  if (!typed()) complain(name, 'Choose a name.');
  if (!password.value) complain(password, 'Choose a password.');
  return focusWrong();
}

function focusWrong() {
  const wrong = form.querySelector('[aria-invalid="true"]');
  wrong?.focus();
  return Boolean(wrong);
}

/** The button stays focusable while the server thinks. */
function ask(isOn) {
  isAsking = isOn;
  $('submit').setAttribute('aria-disabled', String(isOn));
  $('submit').textContent = isOn ? 'Creating…' : 'Create account';
  if (isOn) $('failure').hidden = true;
}

function refuse({ errors = {}, message }) {
  complain(name, errors.name ?? null);
  complain(password, errors.password ?? null);
  const general = message ?? errors.domain;
  $('failure').textContent = general ?? '';
  $('failure').hidden = !general;
  focusWrong();
}

// The account is there

function finish({ address, uri, qr, settings, notes }) {
  password.value = '';
  $('jid').textContent = address;
  $('open').href = uri;
  if (qr) draw(qr, uri);
  else $('qr').parentElement.hidden = true;
  $('settings').replaceChildren(...settings.map(setting));
  $('notes').replaceChildren(...notes.map(text => element('li', {}, text)));
  $('ask').hidden = true;
  $('done').hidden = false;
  document.title = 'Your account is ready – Waxwing';
  $('done-title').focus();
  scrollTo(0, 0);
}

function draw(svg, uri) {
  const picture = new DOMParser().parseFromString(svg, 'image/svg+xml').documentElement;
  picture.setAttribute('role', 'img');
  picture.setAttribute('aria-label', `QR code of ${uri}`);
  $('qr').replaceChildren(picture);
}

function setting({ label, value }, index) {
  const id = `setting-${index}`;
  const code = element('code', { id, dir: 'ltr' }, value);
  const heard = element('span', { class: 'heard' }, ` ${label}`);
  const attributes = { type: 'button', class: 'copy', 'data-copies': id };
  const copy = element('button', attributes, 'Copy', heard);
  return element('div', {}, element('dt', {}, label), element('dd', {}, code),
    element('dd', {}, copy));
}

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

$('done').addEventListener('click', async event => {
  const button = event.target.closest('[data-copies]');
  if (!button) return;
  const source = $(button.dataset.copies);
  const isCopied = await copy(source);
  const label = button.firstChild;
  label.data = isCopied ? 'Copied' : 'Press Ctrl+C';
  $('copied').textContent = isCopied ? `Copied ${source.textContent}` : 'Press Control C to copy.';
  setTimeout(() => { label.data = 'Copy'; }, 2000);
});

/** Browsers have a clipboard on secure pages only; elsewhere the text is selected. */
async function copy(source) {
  try {
    await navigator.clipboard.writeText(source.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(source);
    return false;
  }
}

preview();
