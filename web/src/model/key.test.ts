import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cleanKey, looksLikeKey } from './key.ts';

const KEY = '0123456789abcdef0123456789abcdef-us21';

test('a key is taken as it is', () => {
  assert.deepEqual(cleanKey(KEY), { key: KEY, wasCleaned: false });
});

for (const [what, pasted] of [
  ['spaces', `  ${KEY} `],
  ['a line break in the middle', `${KEY.slice(0, 16)}\n${KEY.slice(16)}`],
  ['quotation marks', `“${KEY}”`],
  ['signs that nobody sees', `\ufeff${KEY}\u200b`],
] as const) {
  test(`${what} are taken away, and that is said`, () => {
    assert.deepEqual(cleanKey(pasted), { key: KEY, wasCleaned: true });
  });
}

test('what is no key is seen without asking Mailchimp', () => {
  assert.ok(looksLikeKey(KEY));
  for (const other of ['', KEY.slice(1), KEY.toUpperCase(), `${KEY}x`, KEY.replace('-us21', '')]) {
    assert.ok(!looksLikeKey(other), other);
  }
});
