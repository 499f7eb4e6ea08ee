import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { Client } from './client.ts';
import { CallFailed } from './failure.ts';

const original = globalThis.fetch;
afterEach(() => {
  globalThis.fetch = original;
});

/** A service that takes one token. */
function serviceTaking(good: string, answer: () => Response = () => Response.json({ ok: true })) {
  const calls: string[] = [];
  globalThis.fetch = async (input) => {
    const request = input as Request;
    const token = request.headers.get('Authorization') ?? '';
    calls.push(token);
    await new Promise((resolve) => setTimeout(resolve, 1));
    return token === `Bearer ${good}` ? answer() : new Response('{}', { status: 401 });
  };
  return calls;
}

function clientWith(tokens: string[]) {
  const asked: boolean[] = [];
  let signedOut = 0;
  const client = new Client({
    api: 'https://service.test/api/',
    getToken: async ({ refresh }) => {
      asked.push(refresh);
      const token = tokens.shift();
      if (token === undefined) throw new Error('nobody is signed in');
      return token;
    },
    onSignedOut: () => {
      signedOut += 1;
    },
  });
  const read = () => client.ask((calls) => calls.GET('/health'));
  return { client, asked, read, signedOut: () => signedOut };
}

async function failureOf(call: Promise<unknown>) {
  const error = await call.then(
    () => assert.fail('it should fail'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof CallFailed);
  return error.failure;
}

test('ten calls with an expired token ask for one new one', async () => {
  const calls = serviceTaking('new');
  const { asked, read } = clientWith(['old', 'new']);
  await Promise.all(Array.from({ length: 10 }, read));
  assert.deepEqual(asked, [false, true]);
  assert.equal(calls.length, 20);
  await read();
  assert.deepEqual(asked, [false, true], 'the new one is remembered');
});

test('a second refusal means signed out, and is not repeated', async () => {
  const calls = serviceTaking('never');
  const { asked, read, signedOut } = clientWith(['old', 'new']);
  assert.equal((await failureOf(read())).code, 'signed-out');
  assert.deepEqual(asked, [false, true]);
  assert.equal(calls.length, 2);
  assert.equal(signedOut(), 1);
});

test('without a token there is no call, and signing in again goes on', async () => {
  const calls = serviceTaking('good');
  const tokens: string[] = [];
  const { client, read, signedOut } = clientWith(tokens);
  assert.equal((await failureOf(read())).code, 'signed-out');
  assert.deepEqual([calls.length, signedOut()], [0, 1]);
  tokens.push('good');
  client.signIn();
  await read();
  assert.equal(calls.length, 1);
});

test('a refusal comes with its code, fields and wait', async () => {
  const problem = {
    type: 'urn:pracbill-mailchimp:problem:too-many-attempts',
    title: 'Too many attempts',
    status: 429,
    detail: 'Wait.',
    errors: [{ field: 'api_key', message: 'is wrong', code: 'bad_form', params: { most: 3 } }],
    run: { id: 'r' },
  };
  serviceTaking('good', () => Response.json(problem, { status: 429, headers: { 'Retry-After': '90' } }));
  const failure = await failureOf(clientWith(['good']).read());
  assert.deepEqual(failure, {
    status: 429,
    code: 'too-many-attempts',
    words: 'Wait.',
    fields: { api_key: { code: 'bad_form', words: 'is wrong', params: { most: 3 } } },
    retryAfter: 90,
    more: { run: { id: 'r' } },
  });
});

test('an answer that is no problem document is a failure all the same', async () => {
  serviceTaking('good', () => new Response('<html>Bad gateway</html>', { status: 502 }));
  const failure = await failureOf(clientWith(['good']).read());
  assert.deepEqual([failure.status, failure.code, failure.words], [502, 'unreadable', '']);
});

test('no answer is unreachable, and an end breaks calls off', async () => {
  globalThis.fetch = async () => {
    throw new TypeError('Failed to fetch');
  };
  assert.equal((await failureOf(clientWith(['good']).read())).code, 'unreachable');
  globalThis.fetch = (_, init) =>
    new Promise((_resolve, reject) => {
      init?.signal?.addEventListener('abort', () => reject(init.signal?.reason));
    });
  const { client, read } = clientWith(['good']);
  const failure = failureOf(read());
  setTimeout(() => client.end(), 5);
  assert.equal((await failure).code, 'broken-off');
});
