// The entries of the Sync Logs that are shown, newest first.

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
