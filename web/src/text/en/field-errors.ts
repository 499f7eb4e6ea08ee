// What is wrong with a field, by the code of its error. A fault that has no words here is shown in the API's own.

import type { Format } from '../format.ts';

type Params = Readonly<Record<string, string | number>>;

function most(what: string): (params: Params, format: Format) => string {
  return (params, format) => `Use at most ${format.number(Number(params.most))} ${what}.`;
}

function between(params: Params, format: Format): string {
  return `Give a whole number from ${format.number(Number(params.least ?? 0))} to ${format.number(Number(params.most))}.`;
}

export const fieldErrors: Readonly<Record<string, (params: Params, format: Format) => string>> = {
  required: () => 'Fill this in.',
  empty: () => 'Fill this in.',
  needs_a_value: () => 'Give a value.',
  takes_no_value: () => 'Leave the value out: this operator takes none.',
  too_short: (params, format) => `Use at least ${format.number(Number(params.least))} characters.`,
  too_long: most('characters'),
  too_many: most('entries'),
  too_many_digits: most('digits'),
  too_few: () => 'Give at least one rule: a segment without rules would contain every customer.',
  not_one_line: () => 'Use one line of text, without control characters.',
  not_an_address: () => 'This is not an e-mail address.',
  half_a_character: () => 'Type the value again: it contains a broken character.',
  not_a_whole_number: () => 'Give a whole number.',
  not_a_whole_number_in_range: between,
  not_a_number: (params, format) =>
    `Give a number such as 100 or -2.50, of at most ${format.number(Number(params.most))} digits.`,
  too_small: (params, format) => `Give a number of at least ${format.number(Number(params.least))}.`,
  too_large: (params, format) => `Give a number of at most ${format.number(Number(params.most))}.`,
  unknown_rule_field: () => 'Choose a field.',
  operator_does_not_fit: () => 'Choose an operator that fits the field.',
  refused_by_mailchimp: () => 'Mailchimp does not accept this value.',
  name_taken: () => 'Another segment has this name. Choose another name.',
  tag_exists: () =>
    'The audience already has a tag with this name that is no segment of PracBill. Choose another name, or rename the tag in Mailchimp.',
  no_such_audience: () => 'This audience is not in the Mailchimp account any more. Choose another one.',
};
