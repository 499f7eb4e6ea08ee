// Words for a failure: ours by its code, else the API's, else ours by its status.

import type { Failure } from '../api/failure.ts';
import type { FailureWords } from './en/failures.ts';
import type { Texts } from './en.ts';
import type { Format } from './format.ts';

export function wordsOf(failure: Failure, texts: Texts, format: Format): FailureWords {
  const { byCode, byStatus, unknown, later } = texts.failures;
  const ours = byCode[failure.code];
  const general = byStatus[failure.status] ?? unknown;
  const words = ours?.words ?? (failure.words || general.words);
  const fix = ours?.fix ?? general.fix;
  return { words, fix: failure.retryAfter === null ? fix : later(format.wait(failure.retryAfter)) };
}
