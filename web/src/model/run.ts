// What can be said of a run without asking anybody.

import type { Run } from '../api/types.ts';

/** Whether it still goes on, waiting for approval included. */
export function isActive(run: Pick<Run, 'finished_at'>): boolean {
  return run.finished_at === null;
}

/** Which of two looks at runs is the one to show: the newer run, of one run the later look. */
export function newerRun(known: Run | null, seen: Run | null): Run | null {
  if (known === null || seen === null) return seen ?? known;
  if (known.id !== seen.id) return seen.started_at >= known.started_at ? seen : known;
  return isActive(known) ? seen : known; // an end stays one, whichever answer was slower
}

/** How a record may end, problems first, as the service lists them. */
export const OUTCOMES = ['failed', 'refused', 'held', 'partly_sent', 'planned', 'done'] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** The outcomes that there are in a run, with their numbers. */
export function outcomesOf(run: Pick<Run, 'record_counts'>): { outcome: Outcome; count: number }[] {
  return OUTCOMES.map((outcome) => ({ outcome, count: run.record_counts[outcome] ?? 0 })).filter(
    ({ count }) => count > 0,
  );
}

/** What a run did, in the order of `names`, zeros left out; what has no name comes last. */
export function countsOf(run: Pick<Run, 'counts'>, names: Readonly<Record<string, string>>): [string, number][] {
  const order = Object.keys(names);
  const place = (key: string): number => (order.includes(key) ? order.indexOf(key) : order.length);
  return Object.entries(run.counts)
    .filter(([, count]) => count > 0)
    .sort(([one], [other]) => place(one) - place(other));
}

/** What the view of one run shows: the run, and where a link says so (`run:held`, `run:no_email`) the records of one
 *  outcome, or of the customers held back for one reason. */
export function runItem(item: string): {
  readonly id: string;
  readonly outcome: '' | Outcome;
  readonly reason: string;
} {
  const [id = '', code = ''] = item.split(':');
  const outcome = OUTCOMES.find((one) => one === code);
  if (outcome !== undefined) return { id, outcome, reason: '' };
  return { id, outcome: code === '' ? '' : 'held', reason: code };
}

export function itemOf(id: string, code = ''): string {
  return code === '' ? id : `${id}:${code}`;
}

/** Why customers were held back, the most frequent reason first. */
export function reasonsOf({ held_by_reason: reasons }: Pick<Run, 'held_by_reason'>): { code: string; count: number }[] {
  return Object.entries(reasons)
    .map(([code, count]) => ({ code, count }))
    .sort((one, other) => other.count - one.count);
}

/** Whether a preview has found something to do. */
export function plansAnything({ record_counts: records, counts }: Pick<Run, 'record_counts' | 'counts'>): boolean {
  return (records.planned ?? 0) > 0 || (counts.segment_added ?? 0) + (counts.segment_removed ?? 0) > 0;
}
