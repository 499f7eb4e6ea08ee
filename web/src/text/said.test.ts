import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Customer, RunRecord } from '../api/types.ts';
import { en } from './en.ts';
import { Format } from './format.ts';
import { caseOf, fieldWordsOf, messageOf, verdictOf } from './said.ts';

const format = new Format('en-AU');
const run = { code: '', params: {}, counts: {}, held_by_reason: {}, message: 'The API says so.' };

function record(changes: Partial<RunRecord>): RunRecord {
  const known = { customer_id: '7', address: null, action: 'none', outcome: 'held', code: '', params: {}, fix: null };
  return { ...known, cause: 'As the API says.', at: '2026-11-28T20:00:00Z', ...changes } as RunRecord;
}

test('a run is told with what was done and who was held back', () => {
  const counts = { add: 1200, update: 1, held: 2, partly_sent: 1 };
  const told = messageOf({ ...run, code: 'synced', counts, held_by_reason: { invalid_email: 2 } }, en, format);
  assert.equal(
    told,
    '1,200 added, 1 updated. 2 customers are held back (2 Invalid email); the records say why. 1 customer is partly sent; the records say what is left out.',
  );
});

test('a stopped run says by whom and how far it was', () => {
  const params = { by: 'user-7', done: 10, planned: 30 };
  assert.equal(
    messageOf({ ...run, code: 'cancelled', params }, en, format),
    'Cancelled by user-7. 10 of 30 changes had been made. The next sync makes the remaining changes.',
  );
});

test('waiting updates that have been sent are counted in good English', () => {
  const told = (count: number) => messageOf({ ...run, code: 'pracbill_told', counts: { told: count } }, en, format);
  assert.equal(told(1), '1 waiting update has been sent to PracBill.');
  assert.equal(told(2), '2 waiting updates have been sent to PracBill.');
});

test('an event names its customers', () => {
  const of = (customer_ids: string[]) => messageOf({ ...run, code: 'opted_out', customer_ids }, en, format);
  assert.equal(of(['7']), 'A contact unsubscribed in Mailchimp (customer 7).');
  assert.equal(of(['7', '9']), 'A contact unsubscribed in Mailchimp (customers 7, 9).');
  assert.equal(of([]), 'A contact unsubscribed in Mailchimp (no customer has this address).');
});

test('what has no words of ours is told in those of the service', () => {
  assert.equal(messageOf({ ...run, code: 'stopped' }, en, format), 'The API says so.');
  assert.deepEqual(caseOf(record({ code: 'brand_new', fix: 'Do this.' }), en), {
    cause: 'As the API says.',
    fix: 'Do this.',
  });
});

test('a record is told by its case, what went well by its reason', () => {
  assert.match(caseOf(record({ code: 'no_email', fix: 'x' }), en).cause, /^No e-mail address/);
  const refused = record({ outcome: 'refused', code: 'merge_field_invalid', params: { field: 'PHONE', said: 'No.' } });
  assert.match(caseOf(refused, en).cause, /the phone number \(PHONE\)\. Mailchimp says: No\./);
  const opted = record({ code: 'compliance_state', params: { who: 'spam', date: '2026-03-02' } });
  assert.match(caseOf(opted, en).cause, /reported a campaign as spam in Mailchimp on 2026-03-02/);
  assert.match(
    caseOf(record({ outcome: 'planned', action: 'add', code: 'yes-absent' }), en).cause,
    /has this customer/,
  );
  assert.match(caseOf(record({ outcome: 'done', action: 'update', code: '?' }), en).cause, /data differ/);
});

test('field errors stand at their fields, in our words where there are any', () => {
  const fields = {
    'rules[0].value': { code: 'not_a_whole_number_in_range', words: 'x', params: { least: 1, most: 36500 } },
    name: { code: 'never seen', words: 'As the API says.', params: {} },
  };
  const failure = { status: 400, code: 'bad-input', words: '', fields, retryAfter: null, more: {} };
  assert.deepEqual(fieldWordsOf(failure, en, format), {
    'rules[0].value': 'Give a whole number from 1 to 36,500.',
    name: 'As the API says.',
  });
});

test('a verdict says where the customer is, what the next sync does, and whose consent counts', () => {
  const of = (verdict_code: string, verdict_params: Customer['verdict_params'] = {}) =>
    verdictOf({ verdict_code, verdict_params, verdict: 'As the API says.' } as Customer, en);
  assert.equal(of('subscribed', { status: 'subscribed' }), 'In the audience and subscribed.');
  assert.match(of('absent'), /nothing is planned/);
  assert.match(of('will_add', { status: 'absent' }), /^Not in the audience yet/);
  assert.equal(
    of('will_update', { status: 'subscribed' }),
    'In the audience and subscribed. The next sync updates the data.',
  );
  assert.match(of('no_email'), /^No e-mail address.*Add an e-mail address/);
  const shared = { status: 'unsubscribed', shared_with: '7, 9', shared_more: 0, shared_consent: 'unsubscribed' };
  assert.match(of('unsubscribed', shared), /never mailed\. The customer shares this address with 7, 9, who opted out/);
  assert.equal(of('will_update', { status: 'subscribed', left_out: 'cut' }), 'As the API says.');
  assert.equal(of('brand_new'), 'As the API says.');
});
