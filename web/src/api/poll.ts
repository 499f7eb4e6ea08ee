// Looking again and again while something changes: often at first, seldom later, never while nobody sees it.

const SECOND = 1000;

/** Milliseconds until the next look, `elapsed` ms after the first one and after so many failures in a row. */
export function pauseAfter(elapsed: number, failures: number): number {
  const usual = elapsed < 15 * SECOND ? SECOND : elapsed < 135 * SECOND ? 2 * SECOND : 5 * SECOND;
  return failures === 0 ? usual : Math.min(30 * SECOND, usual * 2 ** failures);
}

/** What polling needs of its surroundings; a test brings its own. */
export interface Surroundings {
  now(): number;
  later(milliseconds: number, then: () => void): () => void;
  isHidden(): boolean;
  /** Calls `then` whenever the page is hidden or seen again; answers how to stop that. */
  onSeen(then: () => void): () => void;
}

export const browser: Surroundings = {
  now: () => performance.now(),
  later: (milliseconds, then) => {
    const timer = setTimeout(then, milliseconds);
    return () => clearTimeout(timer);
  },
  isHidden: () => document.hidden,
  onSeen: (then) => {
    document.addEventListener('visibilitychange', then);
    return () => document.removeEventListener('visibilitychange', then);
  },
};

export class Poll {
  readonly #look: () => Promise<boolean>;
  readonly #surroundings: Surroundings;
  #begun = 0;
  #failures = 0;
  #round = 0;
  #cancel: (() => void) | null = null;
  #forget: (() => void) | null = null;
  #looking = false;

  /** `look` answers whether to go on; what it throws counts as a failure, and it is asked again later. */
  constructor(look: () => Promise<boolean>, surroundings: Surroundings = browser) {
    this.#look = look;
    this.#surroundings = surroundings;
  }

  get isRunning(): boolean {
    return this.#forget !== null;
  }

  start(): void {
    this.stop();
    this.#begun = this.#surroundings.now();
    this.#failures = 0;
    this.#forget = this.#surroundings.onSeen(() => this.#seen());
    void this.#next();
  }

  stop(): void {
    this.#round += 1;
    this.#looking = false;
    this.#cancel?.();
    this.#forget?.();
    this.#cancel = this.#forget = null;
  }

  #seen(): void {
    if (this.#surroundings.isHidden() || this.#looking) return;
    this.#cancel?.();
    void this.#next();
  }

  async #next(): Promise<void> {
    this.#cancel = null;
    if (this.#surroundings.isHidden()) return; // being seen again goes on
    const round = this.#round;
    this.#looking = true;
    const goesOn = await this.#once();
    if (round !== this.#round) return;
    this.#looking = false;
    if (!goesOn) return this.stop();
    const pause = pauseAfter(this.#surroundings.now() - this.#begun, this.#failures);
    this.#cancel = this.#surroundings.later(pause, () => void this.#next());
  }

  async #once(): Promise<boolean> {
    try {
      const goesOn = await this.#look();
      this.#failures = 0;
      return goesOn;
    } catch {
      this.#failures += 1;
      return true;
    }
  }
}
