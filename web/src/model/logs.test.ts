import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogEntry } from '../api/types.ts';
import { areTurnedRound, readAgain, spanOf } from './logs.ts';

const entries = (...messages: string[]): LogEntry[] => messages.map((message) => ({ message }) as LogEntry);

test('the first time there is what was read', () => {
  const newest = { items: entries('b', 'a'), next_cursor: null };
  assert.equal(readAgain(undefined, newest), newest);
});

test('older entries stay beneath those that were read again', () => {
  const before = { items: entries('d', 'c', 'b', 'a'), next_cursor: 'before a' };
  const newest = { items: entries('e', 'd', 'c'), next_cursor: 'before c' };
  assert.deepEqual(readAgain(before, newest), { items: entries('e', 'd', 'c', 'b', 'a'), next_cursor: 'before a' });
});

test('where entries lie between, only the newest are shown', () => {
  const before = { items: entries('b', 'a'), next_cursor: null };
  const newest = { items: entries('e', 'd'), next_cursor: 'before d' };
  assert.deepEqual(readAgain(before, newest), newest);
});

test('nothing older stays when the list has become short', () => {
  const before = { items: entries('b', 'a'), next_cursor: null };
  const newest = { items: entries('b'), next_cursor: null };
  assert.deepEqual(readAgain(before, newest), newest);
});

process.env.TZ = 'Australia/Melbourne';

test('days go from midnight to midnight where the reader is, also when the clocks change', () => {
  assert.deepEqual(spanOf({ first: '2026-11-27', last: '2026-11-28' }), {
    since: '2026-11-26T13:00:00.000Z',
    until: '2026-11-28T13:00:00.000Z',
  });
  assert.deepEqual(spanOf({ first: '2026-10-04', last: '2026-10-04' }), {
    since: '2026-10-03T14:00:00.000Z',
    until: '2026-10-04T13:00:00.000Z',
  });
});

test('a day that is not given, or not typed to its end, asks for nothing', () => {
  assert.deepEqual(spanOf({ first: '', last: '' }), {});
  assert.deepEqual(spanOf({ first: '0202-11-28', last: '' }), {});
  assert.deepEqual(spanOf({ first: '', last: '2026-12-31' }), { until: '2026-12-31T13:00:00.000Z' });
});

test('a last day before the first one does not count', () => {
  assert.equal(areTurnedRound({ first: '2026-11-28', last: '2026-11-27' }), true);
  assert.equal(areTurnedRound({ first: '2026-11-28', last: '2026-11-28' }), false);
  assert.equal(areTurnedRound({ first: '2026-11-28', last: '0202-11-28' }), false);
  assert.deepEqual(spanOf({ first: '2026-11-28', last: '2026-11-27' }), { since: '2026-11-27T13:00:00.000Z' });
});
