// What all panels share: a section with a heading, one state, one live region, one question, one action at a time.

import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { property, query, state } from 'lit/decorators.js';
import { asFailure, type Failure } from '../api/failure.ts';
import { mayChange } from '../model/access.ts';
import type { State } from '../model/state.ts';
import { wordsOf } from '../text/failure-words.ts';
import './confirm.ts';
import type { Confirm, Question } from './confirm.ts';
import { notice } from './notice.ts';
import type { Page } from './page.ts';
import { shared } from './tokens.ts';

const SLOW_MS = 6000;

export abstract class Panel<Data> extends LitElement {
  static override styles = [
    shared,
    css`
      :host { display: block; min-inline-size: 0; }
      :host([waiting]) { display: none; }
      section { border: 1px solid var(--_line); border-radius: var(--_radius); padding: var(--_space); display: grid; gap: var(--_space); grid-template-columns: minmax(0, 1fr); }
      .head { display: flex; flex-wrap: wrap; gap: 0.625em; align-items: center; justify-content: space-between; min-block-size: 2.5em; }
      .waiting { min-block-size: var(--reserved, 6em); }
    `,
  ];

  /** For a panel below others that grow once they have their data: it comes with its own, so that it does not jump. */
  protected readonly comesWithData: boolean = false;
  @property({ attribute: false }) page!: Page;
  /** The name of the action under way. */
  @state() protected doing: string | null = null;
  /** Why the last action failed. */
  @state() protected problem: Failure | null = null;
  @state() private said = '';
  @state() private slow = false;
  @query('pbm-confirm') private asking!: Confirm;
  #slowTimer: ReturnType<typeof setTimeout> | undefined;

  protected abstract get heading(): string;
  protected abstract get data(): State<Data>;
  protected abstract draw(data: Data): TemplateResult;

  /** Buttons beside the heading. */
  protected drawActions(): TemplateResult | typeof nothing {
    return nothing;
  }

  /** Ask again for what the panel shows. */
  protected reload(): void {
    void this.page.actions.refresh();
  }

  /** Words for a failed action or a failed reading; a panel that knows better overrides this. */
  protected failureWords(failure: Failure): { words: string; fix: string } {
    return wordsOf(failure, this.page.texts, this.page.format);
  }

  /** Whether something was typed that is not saved. */
  protected get hasDraft(): boolean {
    return false;
  }

  /** Whether the panel may be taken away: asks where that would lose what was typed. */
  async mayLeave(): Promise<boolean> {
    if (!this.hasDraft) return true;
    const { title, body, yes, no } = this.page.texts.common.leave;
    return this.confirm({ title, body, yes, no, danger: true });
  }

  // Reload, Back to another site, a closed tab: the browser asks, in its own words.
  readonly #beforeUnload = (event: Event): void => {
    if (this.hasDraft) event.preventDefault();
  };

  /** The page has read everything anew; a panel with data of its own does so here, too. */
  protected pageRead(): void {}

  protected override willUpdate(changed: PropertyValues): void {
    const before: Page | undefined = changed.get('page');
    const isReadAnew = before !== undefined && before.state !== this.page.state && this.page.state.is === 'ready';
    if (isReadAnew && !this.#keepsFailure) this.pageRead();
  }

  /** A failure stays until somebody presses *Try again*: the button must not go away under the press. Who has signed in
   *  again has pressed one already. */
  get #keepsFailure(): boolean {
    const { data } = this;
    return data.is === 'failed' && data.failure.code !== 'signed-out';
  }

  /** What had the focus may go with a change, such as a button that was pressed: then the heading has it. */
  protected override update(changed: PropertyValues): void {
    const had = this.shadowRoot?.activeElement;
    super.update(changed);
    if (had && !this.shadowRoot?.activeElement) this.#headingElement?.focus({ preventScroll: true });
  }

  get #headingElement(): HTMLElement | null {
    return this.renderRoot.querySelector('#heading');
  }

  protected override updated(changed: PropertyValues): void {
    super.updated(changed);
    // Only while there is a draft: a page with such a listener may not be kept for a Back to it.
    if (this.page !== undefined && this.hasDraft) window.addEventListener('beforeunload', this.#beforeUnload);
    else window.removeEventListener('beforeunload', this.#beforeUnload);
    if (this.comesWithData) this.toggleAttribute('waiting', this.page === undefined || this.data.is === 'loading');
  }

  protected get mayChange(): boolean {
    return mayChange(this.page.access);
  }

  /** Do something by the API, one thing at a time. Undefined: it failed, and `problem` says why. */
  protected async perform<Result>(name: string, action: () => Promise<Result>): Promise<Result | undefined> {
    if (this.doing !== null) return undefined;
    this.doing = name;
    this.problem = null;
    try {
      return await action();
    } catch (error) {
      const failure = asFailure(error);
      if (failure.code !== 'broken-off') {
        this.problem = failure.code === 'signed-out' ? null : failure; // the page's own notice says that
        this.page.actions.failed(failure);
      }
      return undefined;
    } finally {
      this.doing = null;
    }
  }

  protected confirm(question: Question): Promise<boolean> {
    return this.asking.ask(question);
  }

  /** Read words out to whoever does not see the change. The same words twice are read twice. */
  protected announce(words: string): void {
    this.said = words === this.said ? `${words}\u00a0` : words;
  }

  /** Put the focus on what is there after a change; on the heading where that is gone as well. */
  async focusOn(selector: string): Promise<void> {
    await this.updateComplete;
    (this.renderRoot.querySelector<HTMLElement>(selector) ?? this.#headingElement)?.focus();
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.requestUpdate(); // with a draft it may have been moved
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    window.removeEventListener('beforeunload', this.#beforeUnload);
    clearTimeout(this.#slowTimer);
    this.#slowTimer = undefined;
  }

  protected override render(): TemplateResult | typeof nothing {
    if (this.page === undefined) return nothing;
    const { data } = this;
    this.#watchSlowness(data.is === 'loading');
    return html`<section part="panel" aria-labelledby="heading" aria-busy=${data.is === 'loading' ? 'true' : 'false'}>
        <div class="head">
          <h3 id="heading" tabindex="-1">${this.heading}</h3>
          ${this.drawActions()}
        </div>
        <div class="unseen" role="status">${this.said}</div>
        ${this.problem ? this.drawProblem(this.problem) : nothing} ${this.#body(data)}
      </section>
      <pbm-confirm></pbm-confirm>`;
  }

  protected drawProblem(failure: Failure): TemplateResult | typeof nothing {
    return notice({ kind: 'bad', alert: true, ...this.failureWords(failure) });
  }

  #body(data: State<Data>): TemplateResult {
    const { common } = this.page.texts;
    switch (data.is) {
      case 'loading':
        return html`<p class="waiting quiet">${this.slow ? common.slow : common.loading}</p>`;
      case 'failed':
        return html`<div class="waiting">${this.#failure(data.failure)}</div>`;
      case 'forbidden':
        return notice({ kind: 'info', words: common.forbidden.title, fix: common.forbidden.body });
      case 'stale':
        return html`${this.#failure(data.failure, common.staleSince)} ${this.draw(data.data)}`;
      case 'ready':
        return this.draw(data.data);
    }
  }

  #failure(failure: Failure, remark = ''): TemplateResult {
    const { words, fix } = this.failureWords(failure);
    return notice({
      kind: remark === '' ? 'bad' : 'warn',
      alert: true,
      words: `${words} ${remark}`.trim(),
      fix,
      action: { label: this.page.texts.common.tryAgain, icon: 'again', onPress: () => this.reload() },
    });
  }

  #watchSlowness(loading: boolean): void {
    if (loading && this.#slowTimer === undefined) {
      this.#slowTimer = setTimeout(() => {
        this.slow = true;
      }, SLOW_MS);
    } else if (!loading) {
      clearTimeout(this.#slowTimer);
      this.#slowTimer = undefined;
      this.slow = false;
    }
  }
}
