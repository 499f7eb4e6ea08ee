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
