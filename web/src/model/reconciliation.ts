// From PracBill's count of customers down to Mailchimp's of members, as bars that fall and rise.

import type { Reconciliation, Run } from '../api/types.ts';

export interface Bar {
  /** The reason's code; `pracbill` and `mailchimp` for the two counts. */
  readonly code: string;
  readonly explanation: string;
  /** What it adds to the count; for the two counts the count itself. */
  readonly change: number;
  /** Where the bar lies, as shares of the whole width from 0 to 1. */
  readonly from: number;
  readonly to: number;
}

/** A bar for each count and reason. Reasons lie where the one before ended, so the last one ends at Mailchimp's count. */
export function barsOf({ pracbill_count, mailchimp_count, reasons }: Reconciliation): Bar[] {
  const ends = [pracbill_count];
  for (const { count } of reasons) ends.push((ends.at(-1) ?? 0) - count);
  const least = Math.min(0, ...ends);
  const width = Math.max(mailchimp_count, ...ends) - least || 1;
  const share = (value: number): number => (value - least) / width;
  const between = (one: number, other: number): Pick<Bar, 'from' | 'to'> => ({
    from: share(Math.min(one, other)),
    to: share(Math.max(one, other)),
  });
  const steps = reasons.map(({ code, explanation, count }, place) => {
    const start = ends[place] ?? 0;
    return { code, explanation, change: -count, ...between(start, start - count) };
  });
  return [
    { code: 'pracbill', explanation: '', change: pracbill_count, ...between(0, pracbill_count) },
    ...steps,
    { code: 'mailchimp', explanation: '', change: mailchimp_count, ...between(0, mailchimp_count) },
  ];
}

/** The cases of records that stand behind a reason, as far as records tell of them. */
const CASES: Readonly<Record<string, readonly string[]>> = {
  no_address: ['no_email', 'invalid_email', 'unusable_record'],
  pending: ['not_confirmed'],
  transactional: ['not_subscribed'],
  opted_out: ['opted_out', 'compliance_state', 'consent_in_future'],
  no_consent: ['no_consent'],
  cleaned: ['cleaned'],
  forgotten: ['forgotten'],
  archived: ['archived'],
  erased: ['erased'],
};

/** The cases behind a reason of which this run has records, with their numbers. */
export function casesBehind(
  reason: string,
  run: Pick<Run, 'held_by_reason' | 'record_counts'> | null,
): { code: string; count: number }[] {
  // Refused in this very run, or in an earlier one and held back since.
  const held = { ...run?.held_by_reason, refused: run?.record_counts.refused ?? 0 } as Record<string, number>;
  const codes = reason === 'refused' ? Object.keys(held).filter((code) => !isOurs(code)) : (CASES[reason] ?? []);
  return codes.map((code) => ({ code, count: held[code] ?? 0 })).filter(({ count }) => count > 0);
}

/** Whether we hold somebody back ourselves; every other case is a refusal of Mailchimp's. */
function isOurs(code: string): boolean {
  return code === 'changed_meanwhile' || Object.values(CASES).some((codes) => codes.includes(code));
}

/** The newest run that has looked at every customer; its records tell of all who are held back. */
export function lastFull(runs: readonly Run[]): Run | null {
  const isWhole = (run: Run): boolean => ['success', 'skipped'].includes(run.status) || run.phase === 'close';
  return runs.find((run) => run.type === 'full' && run.finished_at !== null && isWhole(run)) ?? null;
}
