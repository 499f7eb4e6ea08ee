import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FoundCustomer } from '../api/types.ts';
import { detailsOf, lookUp, nameOf } from './customer.ts';

function found(parts: Partial<FoundCustomer>): FoundCustomer {
  return {
    customer_id: '77',
    email: null,
    company_name: null,
    first_name: null,
    last_name: null,
    match: 'name',
    ...parts,
  };
}

test('a customer is called by company, person or id, and nothing is said twice', () => {
  const both = found({ company_name: 'Acme', first_name: 'Ann', last_name: 'Lee', email: 'ann@acme.example' });
  assert.equal(nameOf(both), 'Acme');
  assert.deepEqual(detailsOf(both), ['Ann Lee', 'ann@acme.example', '77']);
  const person = found({ last_name: 'Lee' });
  assert.equal(nameOf(person), 'Lee');
  assert.deepEqual(detailsOf(person), ['77']);
  assert.equal(nameOf(found({})), '77');
  assert.deepEqual(detailsOf(found({})), []);
});

test('one letter can only be an id; more are searched for', () => {
  assert.deepEqual(lookUp('  '), { is: 'nothing' });
  assert.deepEqual(lookUp(' 7 '), { is: 'id', of: '7' });
  assert.deepEqual(lookUp('😀'), { is: 'id', of: '😀' });
  assert.deepEqual(lookUp(' 77 '), { is: 'search', of: '77' });
});
