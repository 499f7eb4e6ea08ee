import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Reconciliation } from '../api/types.ts';
import { barsOf } from './reconciliation.ts';

function reconciliation(ours: number, theirs: number, ...counts: number[]): Reconciliation {
  const reasons = counts.map((count, place) => ({ code: `r${place}`, count, explanation: '' }));
  return { pracbill_count: ours, mailchimp_count: theirs, difference: ours - theirs, reasons, as_of: '' };
}

test('bars fall and rise from one count to the other', () => {
  const bars = barsOf(reconciliation(100, 70, 40, -10));
  assert.deepEqual(
    bars.map(({ code, change, from, to }) => [code, change, from, to]),
    [
      ['pracbill', 100, 0, 1],
      ['r0', -40, 0.6, 1],
      ['r1', 10, 0.6, 0.7],
      ['mailchimp', 70, 0, 0.7],
    ],
  );
});

test('all bars lie within the width, also when more is taken than there was, and for nothing at all', () => {
  for (const one of [reconciliation(10, 30, 20, -40), reconciliation(0, 0), reconciliation(0, 5, -5)]) {
    for (const { from, to } of barsOf(one)) assert.ok(from >= 0 && to <= 1 && from <= to);
  }
});
