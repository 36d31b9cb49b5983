// What a page has and Node.js has not: as much of XMLHttpRequest as Strophe's BOSH asks for.

import { DOMParser } from '@xmldom/xmldom';

globalThis.XMLHttpRequest ??= class {
  readyState = 0;
  status = 0;
  responseText = '';
  responseXML = null;
  onreadystatechange = null;
  #headers = {};
  #stop = new AbortController();

  open(method, url) {
    Object.assign(this, { method, url, readyState: 1 });
  }

  setRequestHeader(name, value) {
    this.#headers[name] = value;
  }

  overrideMimeType() {}

  getAllResponseHeaders() {
    return '';
  }

  async send(body) {
    const { method, url } = this;
    try {
      const answer = await fetch(url, {
        method, body, headers: this.#headers, signal: this.#stop.signal,
      });
      this.responseText = await answer.text();
      this.responseXML = new DOMParser().parseFromString(this.responseText, 'text/xml');
      this.status = answer.status;
    } catch {
      this.status = 0;
    }
    this.readyState = 4;
    this.onreadystatechange?.();
  }

  abort() {
    this.#stop.abort();
  }
};
