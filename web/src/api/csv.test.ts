import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { Client } from './client.ts';
import { readCsv } from './csv.ts';
import { CallFailed } from './failure.ts';

const original = globalThis.fetch;
afterEach(() => {
  globalThis.fetch = original;
});

function client(): Client {
  return new Client({ api: 'https://service.test/api', getToken: () => 'token', onSignedOut: () => {} });
}

test('pages are put together in their order, each asked with the cursor of the last', async () => {
  const asked: string[] = [];
  globalThis.fetch = async (input) => {
    const request = input as Request;
    assert.equal(request.headers.get('Accept'), 'text/csv');
    assert.equal(request.headers.get('Authorization'), 'Bearer token');
    asked.push(request.url);
    const isFirst = !request.url.includes('cursor');
    return new Response(isFirst ? 'name\r\na\r\n' : 'b\r\n', { headers: isFirst ? { 'Next-Cursor': 'c&1' } : {} });
  };
  const file = await readCsv(client(), '/departments/north/logs?status=error');
  assert.equal(await file.text(), 'name\r\na\r\nb\r\n');
  assert.deepEqual(asked, [
    'https://service.test/api/departments/north/logs?status=error',
    'https://service.test/api/departments/north/logs?status=error&cursor=c%261',
  ]);
});

test('half a file is none', async () => {
  globalThis.fetch = async (input) =>
    (input as Request).url.includes('cursor')
      ? new Response('{}', { status: 503 })
      : new Response('a', { headers: { 'Next-Cursor': 'n' } });
  await assert.rejects(readCsv(client(), '/x'), CallFailed);
});
