// The members of each day as the points of a line, and the opt-outs of each day as bars, in shares of a unit square.

import type { History } from '../api/types.ts';

export type Day = History['items'][number];

export interface Trend {
  /** From the upper left corner, as in SVG; days of which the members are not known have no point. */
  readonly line: readonly { readonly x: number; readonly y: number }[];
  readonly bars: readonly { readonly x: number; readonly height: number }[];
  readonly least: number;
  readonly most: number;
}

const DAY_MS = 86_400_000;

/** Null: there are fewer than two days to draw a line between. */
export function trendOf(days: readonly Day[]): Trend | null {
  const known = days.filter((day) => day.members !== null);
  const [first, last] = [known[0], known.at(-1)];
  if (first === undefined || last === undefined || first === last) return null;
  const members = known.map((day) => day.members ?? 0);
  const [least, most] = [Math.min(...members), Math.max(...members)];
  const begin = at(first);
  const span = at(last) - begin;
  const x = (day: Day): number => (at(day) - begin) / span;
  const mostOut = Math.max(1, ...days.map((day) => day.opted_out));
  return {
    line: known.map((day) => ({ x: x(day), y: most === least ? 0.5 : (most - (day.members ?? 0)) / (most - least) })),
    bars: days
      .filter((day) => day.opted_out > 0 && x(day) >= 0 && x(day) <= 1)
      .map((day) => ({ x: x(day), height: day.opted_out / mostOut })),
    least,
    most,
  };
}

function at({ date }: Day): number {
  return Date.parse(date) / DAY_MS;
}
