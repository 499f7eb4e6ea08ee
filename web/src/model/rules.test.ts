import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SegmentFields } from '../api/types.ts';
import { areComplete, firstRule, fromAnswer, inWords, toSend, withField } from './rules.ts';

const text = (operator: string, label: string, value_type = 'text') => ({ operator, label, value_type });
const FIELDS = {
  max_rules: 20,
  fields: [
    {
      field: 'state',
      label: 'State',
      hint: '',
      computed: false,
      operators: [text('equals', 'Equals'), text('is_empty', 'Is Empty', 'none')],
      choices: [],
    },
    {
      field: 'inactive',
      label: 'Active/Inactive',
      hint: '',
      computed: false,
      operators: [text('equals', 'Equals')],
      choices: [{ value: '0', label: 'Active' }],
    },
    {
      field: 'created_in_last_days',
      label: 'Created in Last N Days',
      hint: '',
      computed: true,
      operators: [text('is', 'Is', 'whole_number')],
      choices: [],
    },
  ],
} as SegmentFields;

test('another field keeps operator and value where it can', () => {
  const rule = { field: 'state', operator: 'equals', value: 'VIC' };
  assert.deepEqual(withField(FIELDS, rule, 'inactive'), { field: 'inactive', operator: 'equals', value: 'VIC' });
  assert.deepEqual(withField(FIELDS, rule, 'created_in_last_days'), {
    field: 'created_in_last_days',
    operator: 'is',
    value: '',
  });
});

test('a rule is sent as the service wants it', () => {
  assert.equal(toSend(FIELDS, { field: 'state', operator: 'is_empty', value: 'left over' }).value, null);
  assert.equal(toSend(FIELDS, { field: 'created_in_last_days', operator: 'is', value: ' 30 ' }).value, 30);
  assert.equal(toSend(FIELDS, { field: 'created_in_last_days', operator: 'is', value: 'a' }).value, 'a');
  assert.equal(toSend(FIELDS, { field: 'state', operator: 'equals', value: '3' }).value, '3');
});

test('a rule comes back as it was', () => {
  assert.deepEqual(fromAnswer({ field: 'created_in_last_days', operator: 'is', value: 30 }), {
    field: 'created_in_last_days',
    operator: 'is',
    value: '30',
  });
  assert.equal(fromAnswer({ field: 'state', operator: 'is_empty', value: null }).value, '');
});

test('a rule in words has the names of the guide', () => {
  assert.equal(inWords(FIELDS, { field: 'state', operator: 'equals', value: 'VIC' }), 'State Equals "VIC"');
  assert.equal(
    inWords(FIELDS, { field: 'inactive', operator: 'equals', value: '0' }),
    'Active/Inactive Equals "Active"',
  );
  assert.equal(inWords(FIELDS, { field: 'state', operator: 'is_empty', value: '' }), 'State Is Empty');
});

test('rules are complete once each has its value', () => {
  assert.equal(areComplete(FIELDS, [firstRule(FIELDS)]), false);
  assert.equal(areComplete(FIELDS, [{ field: 'state', operator: 'is_empty', value: '' }]), true);
});
