// What a panel shows: exactly one of these, never a set of booleans.

import type { Failure } from '../api/failure.ts';

export type State<Data> =
  | { readonly is: 'loading' }
  | { readonly is: 'ready'; readonly data: Data }
  | { readonly is: 'stale'; readonly data: Data; readonly failure: Failure }
  | { readonly is: 'failed'; readonly failure: Failure }
  | { readonly is: 'forbidden' };

export const LOADING = { is: 'loading' } as const;

export function ready<Data>(data: Data): State<Data> {
  return { is: 'ready', data };
}

/** The state after a failed call: the last data stay where there are any. Without access there is nothing to show, and
 *  what is not there any more is not shown as if it were. */
export function afterFailure<Data>(before: State<Data>, failure: Failure): State<Data> {
  if (failure.status === 403) return { is: 'forbidden' };
  const data = failure.status === 404 ? undefined : dataOf(before);
  return data === undefined ? { is: 'failed', failure } : { is: 'stale', data, failure };
}

export function dataOf<Data>(state: State<Data>): Data | undefined {
  return state.is === 'ready' || state.is === 'stale' ? state.data : undefined;
}

/** The same state of a part of the data. */
export function part<Whole, Part>(state: State<Whole>, of: (whole: Whole) => Part): State<Part> {
  if (state.is === 'ready') return { is: 'ready', data: of(state.data) };
  if (state.is === 'stale') return { is: 'stale', data: of(state.data), failure: state.failure };
  return state;
}
