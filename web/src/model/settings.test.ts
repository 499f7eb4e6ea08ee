import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Settings } from '../api/types.ts';
import { changesOf, formOf, wrongLimits } from './settings.ts';

const SETTINGS: Settings = {
  unknown_consent: 'transactional',
  on_removed: 'archive',
  ask_again: false,
  paused: false,
  brake: { removals: 50, removals_percent: 10, additions: 500, additions_percent: 20 },
};

test('nothing changed is nothing to send, however a number is written', () => {
  assert.equal(changesOf(formOf(SETTINGS), SETTINGS), null);
  assert.equal(changesOf({ ...formOf(SETTINGS), removals: ' 050 ' }, SETTINGS), null);
});

test('only what has changed is sent', () => {
  const form = { ...formOf(SETTINGS), unknown_consent: 'skip' as const, removals: '7' };
  assert.deepEqual(changesOf(form, SETTINGS), { unknown_consent: 'skip', brake: { removals: 7 } });
  assert.deepEqual(changesOf({ ...formOf(SETTINGS), paused: true }, SETTINGS), { paused: true });
});

test('limits are whole numbers, and shares go up to 100', () => {
  assert.deepEqual(wrongLimits(formOf(SETTINGS)), {});
  const form = {
    ...formOf(SETTINGS),
    removals: '',
    removals_percent: '101',
    additions: '-1',
    additions_percent: '1.5',
  };
  assert.deepEqual(Object.keys(wrongLimits(form)), ['removals', 'removals_percent', 'additions', 'additions_percent']);
  assert.equal(wrongLimits(form).removals_percent, 100);
});
