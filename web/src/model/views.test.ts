import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tabAfter, viewNamed } from './views.ts';

test('an unknown view is the first one', () => {
  assert.equal(viewNamed('logs'), 'logs');
  for (const name of ['nowhere', '', null, undefined]) assert.equal(viewNamed(name), 'overview');
});

test('arrow keys go round, Home and End to the ends, other keys nowhere', () => {
  const tabs = ['a', 'b', 'c'];
  assert.equal(tabAfter(tabs, 'a', 'ArrowRight'), 'b');
  assert.equal(tabAfter(tabs, 'c', 'ArrowRight'), 'a');
  assert.equal(tabAfter(tabs, 'a', 'ArrowLeft'), 'c');
  assert.equal(tabAfter(tabs, 'c', 'Home'), 'a');
  assert.equal(tabAfter(tabs, 'a', 'End'), 'c');
  assert.equal(tabAfter(tabs, 'a', 'Escape'), undefined);
});
