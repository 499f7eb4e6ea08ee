// One question at a time, and the latest one wins: what is asked while another is under way waits and replaces what
// waited before it. Breaking off would not help, since the service goes on with what it has begun.

export class Latest<Question, Answer> {
  readonly #ask: (question: Question) => Promise<Answer>;
  readonly #tell: (answer: Answer, question: Question) => void;
  readonly #fail: (error: unknown, question: Question) => void;
  #waiting: { question: Question } | null = null;
  #underWay = false;
  #stopped = false;

  constructor(options: {
    ask: (question: Question) => Promise<Answer>;
    tell: (answer: Answer, question: Question) => void;
    fail: (error: unknown, question: Question) => void;
  }) {
    this.#ask = options.ask;
    this.#tell = options.tell;
    this.#fail = options.fail;
  }

  /** Whether a question is under way; the one that waits is asked next. */
  get busy(): boolean {
    return this.#underWay;
  }

  ask(question: Question): void {
    this.#stopped = false;
    this.#waiting = { question };
    if (!this.#underWay) void this.#run();
  }

  /** Forget what waits, and tell nobody of what is under way. */
  stop(): void {
    this.#stopped = true;
    this.#waiting = null;
  }

  async #run(): Promise<void> {
    this.#underWay = true;
    while (this.#waiting !== null) {
      const { question } = this.#waiting;
      this.#waiting = null;
      await this.#one(question);
    }
    this.#underWay = false;
  }

  async #one(question: Question): Promise<void> {
    try {
      const answer = await this.#ask(question);
      if (this.#isWanted()) this.#tell(answer, question);
    } catch (error) {
      if (this.#isWanted()) this.#fail(error, question);
    }
  }

  #isWanted(): boolean {
    return !this.#stopped && this.#waiting === null;
  }
}
