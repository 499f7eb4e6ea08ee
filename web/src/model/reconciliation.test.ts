import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Reconciliation, Run } from '../api/types.ts';
import { barsOf, casesBehind, lastFull } from './reconciliation.ts';

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

test('behind a reason stand the cases of which there are records', () => {
  const held_by_reason = { no_email: 3, invalid_email: 35, opted_out: 2, plan_full: 4, changed_meanwhile: 1 };
  const run = { held_by_reason, record_counts: { refused: 2 } };
  assert.deepEqual(casesBehind('no_address', run), [
    { code: 'no_email', count: 3 },
    { code: 'invalid_email', count: 35 },
  ]);
  assert.deepEqual(casesBehind('refused', run), [
    { code: 'plan_full', count: 4 },
    { code: 'refused', count: 2 },
  ]);
  assert.deepEqual(casesBehind('foreign', run), []);
  assert.deepEqual(casesBehind('no_address', null), []);
});

test('the last full sync that came to its end tells of everybody', () => {
  const run = (id: string, type: string, finished_at: string | null, phase = 'close') =>
    ({ id, type, finished_at, phase }) as unknown as Run;
  const ended = '2026-11-28T20:00:00Z';
  const runs = [run('5', 'full', null, 'pull'), run('4', 'full', ended, 'pull'), run('3', 'incremental', ended)];
  assert.equal(lastFull(runs), null);
  assert.equal(lastFull([...runs, run('2', 'full', ended), run('1', 'full', ended)])?.id, '2');
});
