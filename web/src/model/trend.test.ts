import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Day, trendOf } from './trend.ts';

function day(date: string, members: number | null, opted_out = 0): Day {
  return { date, members, customers: 2000, added: 0, opted_out };
}

test('a line needs two days whose members are known', () => {
  assert.equal(trendOf([]), null);
  assert.equal(trendOf([day('2026-11-01', 5)]), null);
  assert.equal(trendOf([day('2026-11-01', 5), day('2026-11-02', null)]), null);
});

test('points lie where their days lie, days without a sync left out', () => {
  const days = [day('2026-11-01', 100), day('2026-11-02', 150), day('2026-11-05', 200), day('2026-11-06', null)];
  const trend = trendOf(days);
  assert.deepEqual(trend?.line, [
    { x: 0, y: 1 },
    { x: 0.25, y: 0.5 },
    { x: 1, y: 0 },
  ]);
  assert.deepEqual([trend?.least, trend?.most], [100, 200]);
});

test('a count that stays lies in the middle', () => {
  assert.deepEqual(
    trendOf([day('2026-11-01', 7), day('2026-11-03', 7)])?.line.map(({ y }) => y),
    [0.5, 0.5],
  );
});

test('opt-outs are bars beside the greatest of them, within the line', () => {
  const days = [day('2026-10-30', null, 9), day('2026-11-01', 5, 1), day('2026-11-02', null, 4), day('2026-11-03', 6)];
  assert.deepEqual(trendOf(days)?.bars, [
    { x: 0, height: 1 / 9 },
    { x: 0.5, height: 4 / 9 },
  ]);
});
