// <pracbill-mailchimp>: the tabs, what all panels know, and the run that is followed.

import { css, html, nothing, type TemplateResult } from 'lit';
import { property, state } from 'lit/decorators.js';
import { asFailure, type Failure } from './api/failure.ts';
import { Poll } from './api/poll.ts';
import type { PanelData, Run } from './api/types.ts';
import { isActive, newerRun } from './model/run.ts';
import { tabAfter, VIEWS, type View, viewNamed } from './model/views.ts';
import { PANELS } from './panels/views.ts';
import { element } from './ui/define.ts';
import { PageElement } from './ui/element.ts';
import type { Page, PageActions } from './ui/page.ts';

// What others do (a scheduled sync, a colleague, Mailchimp) shows after so long at most, while somebody looks.
const FRESH_MS = 60_000;

@element('pracbill-mailchimp')
export class PracBillMailchimp extends PageElement {
  static override styles = [
    ...PageElement.styles,
    css`
      [role='tablist'] { display: flex; flex-wrap: wrap; gap: 0.25em; border-block-end: 1px solid var(--_line); }
      [role='tab'] { border-color: transparent; border-block-end-width: 3px; border-end-start-radius: 0; border-end-end-radius: 0; background: none; }
      [role='tab'][aria-selected='true'] { border-block-end-color: var(--_accent); color: var(--_accent); }
      [role='tabpanel'] { display: grid; gap: var(--_space); grid-template-columns: minmax(0, 1fr); min-inline-size: 0; }
      @media (forced-colors: active) {
        [role='tab'] { border-block-end-color: Canvas; }
        [role='tab'][aria-selected='true'] { forced-color-adjust: none; background: SelectedItem; color: SelectedItemText; }
      }
    `,
  ];

  @property({ reflect: true, useDefault: true }) view: View = 'overview';
  /** The id of what the view shows: a run, a segment, a customer. */
  @property({ reflect: true }) item: string | null = null;

  @state() private run: Run | null = null;
  @state() private runFailure: Failure | null = null;
  readonly #poll = new Poll(() => this.#lookAtRun());
  #refreshTimer: ReturnType<typeof setTimeout> | undefined;
  #askedAt = 0;

  override connectedCallback(): void {
    super.connectedCallback();
    document.addEventListener('visibilitychange', this.#seenAgain);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    document.removeEventListener('visibilitychange', this.#seenAgain);
  }

  protected override get shown(): Pick<Page, 'run' | 'runFailure' | 'item'> {
    const { run, runFailure, item } = this;
    return { run, runFailure, item };
  }

  protected override drawTitle(): TemplateResult {
    return html`<h2>${this.words.common.title}</h2>`;
  }

  protected override panels(page: Page): TemplateResult {
    const shown = VIEWS.filter((view) => PANELS[view] !== undefined);
    const view = shown.includes(viewNamed(this.view)) ? viewNamed(this.view) : 'overview';
    const panels = PANELS[view];
    return html`${shown.length > 1 ? this.#tabs(shown, view) : nothing}
      <div id="shown" role=${shown.length > 1 ? 'tabpanel' : 'none'} aria-labelledby="tab-${view}">
        ${panels === undefined ? nothing : panels(page)}
      </div>`;
  }

  #tabs(shown: readonly View[], current: View): TemplateResult {
    const { common } = this.words;
    return html`<div role="tablist" aria-label=${common.tabs}>
      ${shown.map(
        (view) => html`<button
          type="button"
          role="tab"
          id="tab-${view}"
          part="button"
          aria-selected=${view === current ? 'true' : 'false'}
          aria-controls="shown"
          tabindex=${view === current ? '0' : '-1'}
          @click=${() => void this.#leaveFor(view, null)}
          @keydown=${(event: KeyboardEvent) => this.#tabKey(event, shown, view)}
        >${common.views[view]}</button>`,
      )}
    </div>`;
  }

  #tabKey(event: KeyboardEvent, shown: readonly View[], from: View): void {
    const to = tabAfter(shown, from, event.key);
    if (to === undefined) return;
    event.preventDefault();
    void this.#leaveFor(to, null).then(async (left) => {
      await this.updateComplete;
      if (left) this.renderRoot.querySelector<HTMLElement>(`#tab-${to}`)?.focus();
    });
  }

  /** Show another view, unless somebody has typed something there and wants to stay. */
  async #leaveFor(view: View, item: string | null): Promise<boolean> {
    if (view === this.view && item === this.item) return true;
    const may = await this.mayLeave();
    if (may) this.#show(view, item);
    return may;
  }

  /** For the host, before it shows something else: asks where that would lose what was typed. */
  async mayLeave(): Promise<boolean> {
    for (const panel of this.shownPanels) {
      if (!(await panel.mayLeave())) return false;
    }
    return true;
  }

  protected override begin(): void {
    this.run = null;
    super.begin();
  }

  protected override end(): void {
    this.#poll.stop();
    clearTimeout(this.#refreshTimer);
    super.end();
  }

  // what the page knows

  protected override async refresh(anew = false): Promise<PanelData | undefined> {
    const { client } = this;
    this.#askedAt = Date.now();
    clearTimeout(this.#refreshTimer);
    const data = await super.refresh(anew);
    if (client === null || client !== this.client) return undefined;
    this.#refreshTimer = setTimeout(this.#seenAgain, FRESH_MS);
    if (data?.newest_run) this.#see(data.newest_run);
    return data;
  }

  readonly #seenAgain = (): void => {
    const isDue = Date.now() - this.#askedAt >= FRESH_MS;
    if (!document.hidden && isDue && !this.signedOut && this.all.state.is !== 'forbidden') void this.refresh();
  };

  /** However its end became known, the host is told of it once. */
  #see(run: Run): void {
    const before = this.run;
    this.run = newerRun(before, run);
    if (before !== null && isActive(before) && before.id === this.run?.id && !isActive(this.run)) {
      this.tell('pbm-sync-finished', { run: before.id, status: this.run.status });
    }
    if (this.run !== null && isActive(this.run) && !this.#poll.isRunning) this.#poll.start();
  }

  async #lookAtRun(): Promise<boolean> {
    const { client, run } = this;
    if (client === null || run === null || !isActive(run)) return false;
    try {
      const path = { department_id: this.department, run_id: run.id };
      const seen = await client.ask((calls) =>
        calls.GET('/departments/{department_id}/syncs/{run_id}', { params: { path } }),
      );
      this.runFailure = null;
      this.#see(seen);
      if (isActive(seen)) return true;
      void this.refresh();
      return this.run !== null && isActive(this.run);
    } catch (error) {
      this.runFailure = asFailure(error);
      throw error;
    }
  }

  #show(view: View, item: string | null): void {
    if (this.view === view && this.item === item) return;
    this.view = view;
    this.item = item;
    this.tell('pbm-view', { view, id: item });
  }

  protected override readonly actions: PageActions = {
    refresh: async () => void (await this.refresh()),
    put: (part) => this.put(part),
    follow: (run) => {
      if (this.run?.id !== run.id) this.tell('pbm-sync-started', { run: run.id });
      this.#see(run);
    },
    show: (view, item) => void this.#leaveFor(view, item ?? null),
    showCustomer: (id) => {
      if (this.tell('pbm-open-customer', { id })) void this.#leaveFor('customer', id);
    },
    tell: (name, detail) => this.tell(name, detail),
    failed: (failure) => void this.tell('pbm-failed', { code: failure.code }),
  };
}

declare global {
  interface HTMLElementTagNameMap {
    'pracbill-mailchimp': PracBillMailchimp;
  }
}
