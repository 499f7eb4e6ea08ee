// The entries of the Sync Logs that are shown, newest first, and from which days.

import type { LogEntry } from '../api/types.ts';

export interface Found {
  readonly items: readonly LogEntry[];
  readonly next_cursor: string | null;
}

/** The newest entries read again, with the older ones that somebody has had shown, where they follow without a gap. */
export function readAgain(before: Found | undefined, newest: Found): Found {
  const last = newest.items.at(-1);
  if (before === undefined || last === undefined || newest.next_cursor === null) return newest;
  const place = before.items.findIndex((one) => isSame(one, last));
  const older = place < 0 ? [] : before.items.slice(place + 1);
  if (older.length === 0) return newest;
  return { items: [...newest.items, ...older], next_cursor: before.next_cursor };
}

function isSame(one: LogEntry, other: LogEntry): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** Days as a date field gives them, such as 2026-11-28; empty for any. */
export interface Days {
  readonly first: string;
  readonly last: string;
}

/** From the beginning of the first day to the end of the last one, where the reader is: the entries' dates are told in
 *  that zone too. */
export function spanOf({ first, last }: Days): { since?: string; until?: string } {
  const since = beginning(first, 0);
  const until = areTurnedRound({ first, last }) ? undefined : beginning(last, 1);
  return { ...(since && { since }), ...(until && { until }) };
}

/** Whether the last day is before the first one; then it does not count. */
export function areTurnedRound({ first, last }: Days): boolean {
  return isWhole(first) && isWhole(last) && last < first;
}

/** While somebody types 2026, the field's year is 0002, 0020 and 0202. */
function isWhole(day: string): boolean {
  return /^[12]\d{3}-/.test(day);
}

function beginning(day: string, later: number): string | undefined {
  if (!isWhole(day)) return undefined;
  const moment = new Date(`${day}T00:00`);
  moment.setDate(moment.getDate() + later);
  return moment.toISOString();
}
