// Words for what the service says with a code: ours where there are any, else its own sentence.

import type { Failure } from '../api/failure.ts';
import type { LogEntry, Run, RunRecord } from '../api/types.ts';
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
