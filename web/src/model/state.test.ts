import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failureOf } from '../api/failure.ts';
import { afterFailure, LOADING, part, ready } from './state.ts';

const CUT = failureOf(0, 'unreachable');

test('a failure before there are data is failed, after it stale', () => {
  assert.deepEqual(afterFailure(LOADING, CUT), { is: 'failed', failure: CUT });
  const stale = afterFailure(ready(7), CUT);
  assert.deepEqual(stale, { is: 'stale', data: 7, failure: CUT });
  assert.deepEqual(afterFailure(stale, CUT), stale);
});

test('without access nothing is shown, whatever was known', () => {
  assert.deepEqual(afterFailure(ready(7), failureOf(403, 'forbidden')), { is: 'forbidden' });
});

test('what is gone is not shown any more', () => {
  const gone = failureOf(404, 'not-found');
  assert.deepEqual(afterFailure(ready(7), gone), { is: 'failed', failure: gone });
});

test('a part of the data has the state of the whole', () => {
  const half = (whole: number): number => whole / 2;
  assert.deepEqual(part(ready(8), half), ready(4));
  assert.deepEqual(part(afterFailure(ready(8), CUT), half), { is: 'stale', data: 4, failure: CUT });
  assert.deepEqual(part(LOADING, half), LOADING);
});
