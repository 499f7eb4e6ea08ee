// Words for what the service says with a code: ours where there are any, else its own sentence.

import type { Failure } from '../api/failure.ts';
import type { Customer, LogEntry, Run, RunRecord } from '../api/types.ts';
import type { Texts } from './en.ts';
import type { Format } from './format.ts';

type Message = Pick<Run, 'code' | 'params' | 'counts' | 'held_by_reason' | 'message'> &
  Partial<Pick<LogEntry, 'customer_ids'>>;

export function messageOf(of: Message, texts: Texts, format: Format): string {
  const { code, params, counts, held_by_reason: held, customer_ids: customers = [] } = of;
  return texts.messages[code]?.({ params, counts, held, customers }, format) ?? of.message;
}

/** Why a record is as it is, and what to do about it. */
export function caseOf(record: RunRecord, texts: Texts): { cause: string; fix: string } {
  const { code, action, outcome, params, cause, fix } = record;
  const isFine = (outcome === 'done' || outcome === 'planned') && fix === null;
  if (isFine) return { cause: texts.run.reasons[code] ?? texts.run.reasons[action] ?? cause, fix: '' };
  const ours = outcome === 'partly_sent' || outcome === 'planned' ? undefined : texts.cases[code]?.(params);
  return ours ?? { cause, fix: fix ?? '' };
}

/** The words at each field that a failure names. */
export function fieldWordsOf(failure: Failure, texts: Texts, format: Format): Record<string, string> {
  const said = Object.entries(failure.fields).map(([name, { code, params, words }]) => [
    name,
    texts.fieldErrors[code]?.(params, format) ?? words,
  ]);
  return Object.fromEntries(said);
}

/** Why a customer is, or is not, in the audience. */
export function verdictOf(customer: Customer, texts: Texts): string {
  const { verdict_code: code, verdict_params: params, verdict } = customer;
  // What of a customer is left out is told in the service's words: they name the values.
  const ours = params.left_out === undefined ? ourVerdict(code, params, texts) : undefined;
  if (ours === undefined) return verdict;
  if (params.shared_with === undefined) return ours;
  const optedOut = params.shared_consent === 'unsubscribed';
  return `${ours} ${texts.customer.sharing(String(params.shared_with), params.shared_more !== 0, optedOut)}`;
}

function ourVerdict(code: string, params: Customer['verdict_params'], texts: Texts): string | undefined {
  const { there, notThere, nothingPlanned, will } = texts.customer;
  const held = texts.cases[code]?.(params);
  // Some cases are statuses as well; held back for it, the customer is told why.
  if (held !== undefined) return `${held.cause} ${held.fix}`;
  const planned = will[code];
  if (planned === undefined) return there[code] ?? (code in texts.customer.statuses ? nothingPlanned : undefined);
  if (code === 'will_add' || code === 'will_rename') return planned;
  return `${there[String(params.status)] ?? notThere} ${planned}`;
}
