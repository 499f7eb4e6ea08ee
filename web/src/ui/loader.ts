// Data that a panel asks for itself, as the state that it shows. The latest question wins.

import type { ReactiveController, ReactiveControllerHost } from 'lit';
import { asFailure, type Failure } from '../api/failure.ts';
import { afterFailure, dataOf, LOADING, ready, type State } from '../model/state.ts';

export class Loader<Data> implements ReactiveController {
  state: State<Data> = LOADING;
  readonly #host: ReactiveControllerHost;
  readonly #onFailure: (failure: Failure) => void;
  #question = 0;

  constructor(host: ReactiveControllerHost, onFailure: (failure: Failure) => void) {
    this.#host = host;
    this.#onFailure = onFailure;
    host.addController(this);
  }

  hostConnected(): void {}

  /** Ask. What is shown stays meanwhile, unless `anew` says that it belongs to something else. */
  async load(ask: () => Promise<Data>, { anew = false } = {}): Promise<Data | undefined> {
    const question = ++this.#question;
    // A failure stays until the answer is there: the button to try again must not go away under the press.
    if (anew) this.#show(LOADING);
    try {
      const data = await ask();
      if (question === this.#question) this.#show(ready(data));
      return data;
    } catch (error) {
      const failure = asFailure(error);
      if (question === this.#question && failure.code !== 'broken-off') {
        this.#show(afterFailure(this.state, failure));
        this.#onFailure(failure);
      }
      return undefined;
    }
  }

  /** Show data that came another way, such as with the answer to a change. */
  put(data: Data): void {
    this.#question += 1;
    this.#show(ready(data));
  }

  /** Change what is shown, where there is something. */
  change(how: (data: Data) => Data): void {
    const data = dataOf(this.state);
    if (data !== undefined) this.#show({ ...this.state, data: how(data) } as State<Data>);
  }

  #show(state: State<Data>): void {
    this.state = state;
    this.#host.requestUpdate();
  }
}
