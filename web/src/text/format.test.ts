import assert from 'node:assert/strict';
import { test } from 'node:test';
import { en, withChanges } from './en.ts';
import { Format } from './format.ts';

test('counts take the form of the language', () => {
  const format = new Format('en-AU');
  const forms = { one: 'customer', other: 'customers' };
  assert.equal(format.count(1, forms), '1 customer');
  assert.equal(format.count(2000, forms), '2,000 customers');
});

test('a moment is told in the unit that fits', () => {
  const format = new Format('en');
  const now = new Date('2026-11-29T12:00:00Z');
  assert.equal(format.relative('2026-11-29T11:48:00Z', now), '12 minutes ago');
  assert.equal(format.relative('2026-11-29T15:00:00Z', now), 'in 3 hours');
  assert.equal(format.relative('2026-11-28T12:00:00Z', now), 'yesterday');
  assert.equal(format.relative('2026-11-29T11:59:50Z', now), 'this minute');
  assert.equal(format.wait(40), '40 seconds');
  assert.equal(format.wait(600), '10 minutes');
});

test('a language that is none is English', () => {
  assert.equal(new Format('no such language!').lang, 'en');
});

test('a host may change single words and leaves the rest', () => {
  const changed = withChanges(en, { common: { title: 'Newsletter' } });
  assert.equal(changed.common.title, 'Newsletter');
  assert.equal(changed.common.tryAgain, en.common.tryAgain);
  assert.equal(changed.connection, en.connection);
  assert.equal(withChanges(en, undefined), en);
});
