// What went wrong with a call, in one shape for every panel.

export interface FieldFailure {
  readonly code: string;
  readonly words: string;
  readonly params: Readonly<Record<string, string | number>>;
}

export interface Failure {
  /** The answer's status; 0: there was no answer. */
  readonly status: number;
  /** What the problem document's type ends with, or one of `unreachable`, `too-slow`, `signed-out`, `unreadable`. */
  readonly code: string;
  /** The API's sentence; empty where the page has to find its own words. */
  readonly words: string;
  readonly fields: Readonly<Record<string, FieldFailure>>;
  /** Seconds to wait before the next try, where the API says so. */
  readonly retryAfter: number | null;
  /** Further members of the problem document: `run`, `audiences`, `segment`, ... */
  readonly more: Readonly<Record<string, unknown>>;
}

/** Carries a failure from a call to the panel that shows it. */
export class CallFailed extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(`${failure.status} ${failure.code}`); // no words: they may name a customer
    this.name = 'CallFailed';
    this.failure = failure;
  }
}

const TYPE_PREFIX = 'urn:pracbill-mailchimp:problem:';

export function failureOf(status: number, code: string): Failure {
  return { status, code, words: '', fields: {}, retryAfter: null, more: {} };
}

/** The failure that an answer tells of; whoever wrote the answer (a gateway, a proxy), it is readable afterwards. */
export async function readFailure(response: Response): Promise<Failure> {
  const document = await readObject(response);
  const { type, title: _title, status: _status, detail, errors, ...more } = document;
  return {
    status: response.status,
    code: typeof type === 'string' && type.startsWith(TYPE_PREFIX) ? type.slice(TYPE_PREFIX.length) : 'unreadable',
    words: typeof detail === 'string' ? detail : '',
    fields: Array.isArray(errors) ? readFields(errors) : {},
    retryAfter: readSeconds(response.headers.get('Retry-After')),
    more,
  };
}

/** What a thrown value means for a panel. */
export function asFailure(error: unknown): Failure {
  if (error instanceof CallFailed) return error.failure;
  return failureOf(0, error instanceof Error && error.name === 'TimeoutError' ? 'too-slow' : 'unreachable');
}

async function readObject(response: Response): Promise<Record<string, unknown>> {
  try {
    const document: unknown = await response.json();
    return isObject(document) ? document : {};
  } catch {
    return {};
  }
}

function readFields(errors: unknown[]): Record<string, FieldFailure> {
  const fields: Record<string, FieldFailure> = {};
  for (const error of errors) {
    if (!isObject(error) || typeof error.field !== 'string' || error.field in fields) continue;
    fields[error.field] = {
      code: typeof error.code === 'string' ? error.code : '',
      words: typeof error.message === 'string' ? error.message : '',
      params: isObject(error.params) ? (error.params as Record<string, string | number>) : {},
    };
  }
  return fields;
}

function readSeconds(header: string | null): number | null {
  const seconds = header === null ? Number.NaN : Number(header);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds : null;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
