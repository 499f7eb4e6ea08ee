import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogEntry } from '../api/types.ts';
import { readAgain } from './logs.ts';

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
