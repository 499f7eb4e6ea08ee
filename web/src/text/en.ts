// All words of the page in one typed object, a section for each panel. Another language is another object of this type.

import { audience } from './en/audience.ts';
import { cases } from './en/cases.ts';
import { common } from './en/common.ts';
import { connection } from './en/connection.ts';
import { customer } from './en/customer.ts';
import { failures } from './en/failures.ts';
import { fieldErrors } from './en/field-errors.ts';
import { findings } from './en/findings.ts';
import { logs } from './en/logs.ts';
import { brakes, messages } from './en/messages.ts';
import { reconciliation } from './en/reconciliation.ts';
import { run } from './en/run.ts';
import { segments } from './en/segments.ts';
import { settings } from './en/settings.ts';
import { sync } from './en/sync.ts';
import { trend } from './en/trend.ts';

export const en = {
  common,
  brakes,
  cases,
  failures,
  fieldErrors,
  findings,
  messages,
  audience,
  connection,
  customer,
  logs,
  reconciliation,
  run,
  segments,
  settings,
  sync,
  trend,
};

export type Texts = typeof en;

/** What a host may put in place of single texts. */
export type TextChanges = DeepPartial<Texts>;

type DeepPartial<T> = T extends (...parameters: never[]) => unknown
  ? T
  : T extends readonly unknown[]
    ? T
    : T extends object
      ? { [Key in keyof T]?: DeepPartial<T[Key]> }
      : T;

export function withChanges(texts: Texts, changes: TextChanges | undefined): Texts {
  return changes === undefined ? texts : (merged(texts, changes) as Texts);
}

function merged(original: unknown, change: unknown): unknown {
  if (change === undefined) return original;
  if (!isSection(original) || !isSection(change)) return change;
  const keys = new Set([...Object.keys(original), ...Object.keys(change)]);
  return Object.fromEntries([...keys].map((key) => [key, merged(original[key], change[key])]));
}

function isSection(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
