// Calls of the service, typed by its own description. Every call brings PracBill's token; a refused token is renewed
// once for all calls under way, and each of them is repeated once.

import createClient, { type Client as TypedClient } from 'openapi-fetch';
import { CallFailed, type Failure, failureOf, readFailure } from './failure.ts';
import type { paths } from './schema.d.ts';
import { type GetToken, TokenKeeper } from './token.ts';

export type Calls = TypedClient<paths, 'application/json'>;

// The gateway gives up after 29 s; whoever has said nothing by then will not answer.
const LONGEST_CALL_MS = 35_000;

export interface ClientOptions {
  readonly api: string;
  readonly getToken: GetToken;
  /** The token was refused twice, or the host has none. */
  readonly onSignedOut: () => void;
}

interface Answer<Data> {
  readonly data?: Data;
  readonly response: Response;
}

export class Client {
  readonly calls: Calls;
  readonly #api: string;
  readonly #tokens: TokenKeeper;
  readonly #onSignedOut: () => void;
  #ending = new AbortController();

  constructor({ api, getToken, onSignedOut }: ClientOptions) {
    this.#tokens = new TokenKeeper(getToken);
    this.#onSignedOut = onSignedOut;
    this.#api = api.replace(/\/+$/, '');
    this.calls = createClient<paths, 'application/json'>({
      baseUrl: this.#api,
      credentials: 'omit',
      referrerPolicy: 'no-referrer',
      fetch: (request) => this.#send(request),
    });
  }

  /** What a call answers: `ask((calls) => calls.GET('/departments/{department_id}/connection', …))`. Throws CallFailed. */
  async ask<Data>(call: (calls: Calls) => Promise<Answer<Data>>): Promise<Data> {
    return (await answered(call(this.calls))).data as Data; // a refusal was thrown already, see below
  }

  /** One page of a list as CSV, and the cursor of the next one; see csv.ts. Throws CallFailed. */
  async csv(path: string, cursor: string): Promise<{ text: string; next: string | null }> {
    const url = new URL(this.#api + path, globalThis.location?.href);
    if (cursor !== '') url.searchParams.set('cursor', cursor);
    const request = new Request(url, {
      headers: { Accept: 'text/csv' },
      credentials: 'omit',
      referrerPolicy: 'no-referrer',
    });
    const response = await answered(this.#send(request));
    return { text: await answered(response.text()), next: response.headers.get('Next-Cursor') };
  }

  /** Break off what is under way; later calls work again. */
  end(): void {
    this.#ending.abort();
    this.#ending = new AbortController();
  }

  /** Ask the host for a token again, after somebody has signed in. */
  signIn(): void {
    this.#tokens.forget();
  }

  async #send(request: Request): Promise<Response> {
    const again = request.clone(); // a body can be read once
    const token = await this.#token(() => this.#tokens.current());
    const first = await this.#fetch(request, token);
    if (first.status !== 401) return legible(first);
    const second = await this.#fetch(again, await this.#token(() => this.#tokens.renewed(token)));
    if (second.status === 401) throw this.#signedOut();
    return legible(second);
  }

  async #fetch(request: Request, token: string): Promise<Response> {
    request.headers.set('Authorization', `Bearer ${token}`);
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(new DOMException('no answer in time', 'TimeoutError')), LONGEST_CALL_MS);
    try {
      return await fetch(request, { signal: AbortSignal.any([request.signal, this.#ending.signal, late.signal]) });
    } finally {
      clearTimeout(timer);
    }
  }

  async #token(ask: () => Promise<string>): Promise<string> {
    try {
      return await ask();
    } catch {
      throw this.#signedOut();
    }
  }

  #signedOut(): CallFailed {
    this.#onSignedOut();
    return new CallFailed(failureOf(401, 'signed-out'));
  }
}

/** A refusal is read here, before openapi-fetch sees it: it answers the document without status and headers. */
async function legible(response: Response): Promise<Response> {
  if (!response.ok) throw new CallFailed(await readFailure(response));
  return response;
}

async function answered<Result>(call: Promise<Result>): Promise<Result> {
  try {
    return await call;
  } catch (error) {
    throw error instanceof CallFailed ? error : new CallFailed(withoutAnswer(error));
  }
}

function withoutAnswer(error: unknown): Failure {
  const name = error instanceof Error ? error.name : '';
  if (name === 'AbortError') return failureOf(0, 'broken-off');
  return failureOf(0, name === 'TimeoutError' ? 'too-slow' : 'unreachable');
}
