import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mayChange, maySee } from './access.ts';

test('reading is not changing, and nothing is nothing', () => {
  assert.deepEqual([mayChange('write'), mayChange('read'), mayChange('none')], [true, false, false]);
  assert.deepEqual([maySee('write'), maySee('read'), maySee('none')], [true, true, false]);
});
