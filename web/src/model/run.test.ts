import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Run } from '../api/types.ts';
import { countsOf, isActive, itemOf, newerRun, outcomesOf, reasonsOf, runItem } from './run.ts';

function run(id: string, started: string, finished: string | null = null): Run {
  return { id, started_at: started, finished_at: finished } as Run;
}

test('the newer run is shown, and of one run the later look', () => {
  const old = run('a', '2026-01-01T00:00:00Z', '2026-01-01T00:10:00Z');
  const now = run('b', '2026-01-02T00:00:00Z');
  const done = run('b', '2026-01-02T00:00:00Z', '2026-01-02T00:01:00Z');
  assert.equal(newerRun(null, now), now);
  assert.equal(newerRun(old, now), now);
  assert.equal(newerRun(now, old), now);
  assert.equal(newerRun(now, done), done);
  assert.equal(newerRun(done, now), done, 'a slow answer must not bring an ended run back');
  assert.equal(newerRun(now, null), now);
  assert.ok(isActive(now) && !isActive(done));
});

test('outcomes come with problems first, and only those that there are', () => {
  assert.deepEqual(outcomesOf({ record_counts: { done: 3, failed: 1, held: 0, refused: 2, planned: 0 } }), [
    { outcome: 'failed', count: 1 },
    { outcome: 'refused', count: 2 },
    { outcome: 'done', count: 3 },
  ]);
});

test('counts come in the order of their names, zeros left out, unknown ones last', () => {
  const names = { add: 'Added', held: 'Held back' };
  assert.deepEqual(countsOf({ counts: { something_new: 1, held: 2, update: 0, add: 5 } }, names), [
    ['add', 5],
    ['held', 2],
    ['something_new', 1],
  ]);
});

test('the view of one run may be of one outcome or reason', () => {
  const id = '20261128T1';
  assert.deepEqual(runItem(id), { id, outcome: '', reason: '' });
  assert.deepEqual(runItem(itemOf(id, 'no_email')), { id, outcome: 'held', reason: 'no_email' });
  assert.deepEqual(runItem(itemOf(id, 'refused')), { id, outcome: 'refused', reason: '' });
  assert.equal(itemOf('20261128T1'), '20261128T1');
});

test('reasons come with the most frequent first', () => {
  const reasons = reasonsOf({ held_by_reason: { no_email: 3, invalid_email: 35 } });
  assert.deepEqual(reasons, [
    { code: 'invalid_email', count: 35 },
    { code: 'no_email', count: 3 },
  ]);
});
