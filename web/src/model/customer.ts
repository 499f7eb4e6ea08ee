// What can be said of a found customer without asking anybody.

import type { FoundCustomer } from '../api/types.ts';

/** What a list calls a customer: the company, else the person, else the id. */
export function nameOf(customer: FoundCustomer): string {
  const person = [customer.first_name, customer.last_name].filter((part) => part).join(' ');
  return customer.company_name || person || customer.customer_id;
}

/** What tells customers of one name apart: the person, the address, the id; never what is the name already. */
export function detailsOf(customer: FoundCustomer): string[] {
  const person = [customer.first_name, customer.last_name].filter((part) => part).join(' ');
  const name = nameOf(customer);
  return [person, customer.email ?? '', customer.customer_id].filter((part) => part !== '' && part !== name);
}

/** What to do with what was typed: nothing, open it as an id, or search. The service searches from two letters on. */
export function lookUp(
  typed: string,
): { readonly is: 'nothing' } | { readonly is: 'id' | 'search'; readonly of: string } {
  const of = typed.trim();
  if (of === '') return { is: 'nothing' };
  // Counted as the service counts: an emoji is one character.
  return { is: [...of].length < 2 ? 'id' : 'search', of };
}
