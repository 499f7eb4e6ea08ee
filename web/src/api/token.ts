// PracBill's token: asked of the host when it is needed, kept in memory, renewed once for all calls under way.

export type GetToken = (how: { refresh: boolean }) => string | Promise<string>;

export class TokenKeeper {
  readonly #ask: GetToken;
  #token: Promise<string> | null = null;

  constructor(ask: GetToken) {
    this.#ask = ask;
  }

  /** The token in use. */
  current(): Promise<string> {
    this.#token ??= this.#fresh(false);
    return this.#token;
  }

  /** A token in place of one that was refused. Whoever comes with the same refused one gets the same answer. */
  async renewed(refused: string): Promise<string> {
    const before = this.#token;
    if (before !== null && (await before.catch(() => refused)) !== refused) return before;
    if (this.#token === before) this.#token = this.#fresh(true);
    return this.current();
  }

  /** Ask the host anew at the next call, after somebody has signed in again. */
  forget(): void {
    this.#token = this.#fresh(true);
  }

  #fresh(refresh: boolean): Promise<string> {
    const asked = Promise.resolve().then(() => this.#ask({ refresh }));
    asked.catch(() => {
      if (this.#token === asked) this.#token = null; // the next call asks again
    });
    return asked;
  }
}
