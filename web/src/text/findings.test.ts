import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findings } from './en/findings.ts';
import { Format } from './format.ts';

const format = new Format('en-AU');

test('counts and moments are told as people write them', () => {
  const unreadable = findings.unreadable_balance?.({ count: 1200, example: '77' }, format);
  assert.match(
    unreadable?.words ?? '',
    /^1,200 customers have a balance that cannot be read \(for example customer 77\)/,
  );
  const one = findings.unreadable_balance?.({ count: 1, example: '77' }, format);
  assert.match(one?.words ?? '', /^1 customer has a balance that cannot be read \(customer 77\)/);
  const never = findings.no_recent_sync?.({}, format);
  assert.match(never?.words ?? '', /yet/);
  const late = findings.no_recent_sync?.({ since: '2026-11-27T03:00:00Z' }, format);
  assert.match(late?.words ?? '', /since 27 Nov/);
});

test('every finding says what to do', () => {
  const since = '2026-11-27T03:00:00Z';
  const params = { count: 1, example: '1', since, at: since, type: 'full', field: 'PHONE', fields: 'PHONE, COMPANY' };
  for (const [code, words] of Object.entries(findings)) {
    const { words: what, fix } = words({ ...params, wanted: 'text', hosts: 'crm.test', reason: 'exists' }, format);
    assert.ok(what.endsWith('.') && fix.endsWith('.'), code);
    assert.doesNotMatch(what + fix, /undefined|NaN/);
  }
});
