import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fieldErrors, mayHaveHappened, newAudience } from './audience.ts';

const FORM = {
  name: ' Customer Newsletter ',
  from_name: 'Clinic',
  from_email: 'hello@clinic.test',
  company: 'Clinic',
  'address.line1': '1 High Street',
  'address.city': 'Melbourne',
  'address.state': '',
  'address.postcode': '3000',
  'address.country': 'au',
  permission_reminder: 'You are our customer.',
};

test('a complete form is in order, without a state too', () => {
  assert.deepEqual(fieldErrors(FORM), {});
});

test('what is missing or no address is named', () => {
  const wrong = { ...FORM, name: ' ', from_email: 'nobody', 'address.country': 'Australia' };
  assert.deepEqual(fieldErrors(wrong), {
    name: 'required',
    from_email: 'notAnEmail',
    'address.country': 'notACountry',
  });
});

test('what is sent is trimmed, with the country in capitals', () => {
  const sent = newAudience(FORM);
  assert.equal(sent.name, 'Customer Newsletter');
  assert.equal(sent.address.country, 'AU');
});

test('an attempt whose answer was lost goes on under its own key, one that was refused does not', () => {
  for (const failure of [
    { status: 0, code: 'too-slow' },
    { status: 504, code: 'unreadable' },
    { status: 503, code: 'try-again-later' },
    { status: 409, code: 'still-under-way' },
  ]) {
    assert.ok(mayHaveHappened(failure), failure.code);
  }
  assert.ok(!mayHaveHappened({ status: 409, code: 'plan-limit-reached' }));
  assert.ok(!mayHaveHappened({ status: 422, code: 'idempotency-key-reused' }));
});
