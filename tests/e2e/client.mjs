// Node's own HTTP clients against the showcase: client.mjs URL
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import { Readable } from 'node:stream';

const url = process.argv[2];
const sha256 = bytes => createHash('sha256').update(bytes).digest('hex');

setTimeout(() => { console.error('too late'); process.exit(1); }, 60000).unref();

const checks = {
  async fetchGet() {
    const answer = await fetch(url + '/json');
    assert.equal(answer.status, 200);
    assert.deepEqual(await answer.json(), { ok: true });
  },

  async fetchRedirects() {
    const answer = await fetch(url + '/redirect/3');
    assert.ok(answer.redirected && answer.url.endsWith('/json'));
  },

  async fetchStreamsUp() {
    const pieces = Array.from({ length: 50 }, () => randomBytes(10000));
    const body = Readable.toWeb(Readable.from(pieces));
    const answer = await fetch(url + '/digest', { method: 'POST', body, duplex: 'half' });
    assert.deepEqual(await answer.json(), { length: 500000, sha256: sha256(Buffer.concat(pieces)) });
  },

  async fetchStreamsDown() {
    let size = 0;
    for await (const piece of (await fetch(url + '/bytes/3000000')).body) {
      assert.ok(piece.every((byte, i) => byte === (size + i) % 251));
      size += piece.length;
    }
    assert.equal(size, 3000000);
  },

  async serverSentEvents() {
    const decoder = new TextDecoder();
    let text = '';
    for await (const piece of (await fetch(url + '/events/4?ms=20')).body) text += decoder.decode(piece);
    const events = text.split('\n\n').filter(Boolean);
    assert.deepEqual(events.map(event => /^data: (.*)$/m.exec(event)[1]),
      ['event 1', 'event 2', 'event 3', 'event 4']);
  },

  async abortedFetch() {
    const control = new AbortController();
    const answer = await fetch(url + '/lines/1000?ms=20', { signal: control.signal });
    await answer.body.getReader().read();
    control.abort();
    assert.equal((await fetch(url + '/text')).status, 200);
  },

  async keepAliveAgent() {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const ports = new Set();
    for (let i = 0; i < 50; i++) {
      await new Promise((resolve, reject) => {
        http.get(url + '/json', { agent }, answer => {
          ports.add(answer.socket.localPort);
          answer.resume().on('end', resolve);
        }).on('error', reject);
      });
    }
    agent.destroy();
    assert.equal(ports.size, 1);
  },

  async continueIsWaitedFor() {
    await new Promise((resolve, reject) => {
      const call = http.request(url + '/digest', {
        method: 'POST', headers: { expect: '100-continue', 'content-length': 5 },
      }, answer => answer.resume().on('end', resolve));
      call.on('continue', () => call.end('hello')).on('error', reject);
      call.flushHeaders();
    });
  },

  async fullDuplexEcho() {
    await new Promise((resolve, reject) => {
      let seen = '';
      const call = http.request(url + '/echo', { method: 'POST' }, answer => {
        answer.on('data', piece => {
          seen += piece;
          if (seen === 'ping') call.end('pong');
        }).on('end', () => resolve(assert.equal(seen, 'pingpong')));
      });
      call.on('error', reject);
      call.write('ping');
    });
  },

  async hundredAtOnce() {
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, i) => fetch(url + '/users/' + i).then(answer => answer.json())));
    answers.forEach((answer, i) => assert.equal(answer.params.id, String(i)));
  },
};

for (const [name, check] of Object.entries(checks)) {
  await check();
  console.log(name);
}
process.exit(0);
