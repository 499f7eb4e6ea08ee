// <pracbill-mailchimp>: the tabs, what all panels know, and the run that is followed.

import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { property, state } from 'lit/decorators.js';
import { Client } from './api/client.ts';
import { asFailure, type Failure } from './api/failure.ts';
import { Poll } from './api/poll.ts';
import type { GetToken } from './api/token.ts';
import type { PanelData, Run } from './api/types.ts';
import type { Access } from './model/access.ts';
import { isActive, newerRun } from './model/run.ts';
import { dataOf } from './model/state.ts';
import { tabAfter, VIEWS, type View, viewNamed } from './model/views.ts';
import { PANELS } from './panels/views.ts';
import { en, type TextChanges, withChanges } from './text/en.ts';
import { Format } from './text/format.ts';
import { element } from './ui/define.ts';
import { Loader } from './ui/loader.ts';
import { notice } from './ui/notice.ts';
import type { Page, PageActions, PageEvents } from './ui/page.ts';
import { hostTokens, shared } from './ui/tokens.ts';

// What others do (a scheduled sync, a colleague, Mailchimp) shows after so long at most, while somebody looks.
const FRESH_MS = 60_000;
// A host gives the page its properties once its own script runs; later than this it has forgotten something.
const HOST_MS = 5000;

@element('pracbill-mailchimp')
export class PracBillMailchimp extends LitElement {
  static override styles = [
    hostTokens,
    shared,
    css`
      .root { display: grid; gap: var(--_space); grid-template-columns: minmax(0, 1fr); padding: var(--_space); }
      [role='tablist'] { display: flex; flex-wrap: wrap; gap: 0.25em; border-block-end: 1px solid var(--_line); }
      [role='tab'] { border-color: transparent; border-block-end-width: 3px; border-end-start-radius: 0; border-end-end-radius: 0; background: none; }
      [role='tab'][aria-selected='true'] { border-block-end-color: var(--_accent); color: var(--_accent); }
      [role='tabpanel'] { display: grid; gap: var(--_space); grid-template-columns: minmax(0, 1fr); min-inline-size: 0; }
      @media (forced-colors: active) {
        [role='tab'][aria-selected='true'] { border-color: Highlight; }
      }
    `,
  ];

  @property() department = '';
  @property() api = '';
  @property({ reflect: true, useDefault: true }) view: View = 'overview';
  /** The id of what the view shows: a run, a segment, a customer. */
  @property({ reflect: true }) item: string | null = null;
  @property({ reflect: true, useDefault: true }) theme: 'auto' | 'light' | 'dark' = 'auto';
  @property({ reflect: true, useDefault: true }) override lang = '';
  @property({ attribute: false }) getToken: GetToken | undefined;
  @property({ attribute: false }) texts: TextChanges | undefined;

  @state() private run: Run | null = null;
  @state() private runFailure: Failure | null = null;
  @state() private signedOut = false;
  /** The host has had time enough to say what it has to. */
  @state() private waited = false;
  readonly #all = new Loader<PanelData>(this, (failure) => this.#actions.failed(failure));
  readonly #poll = new Poll(() => this.#lookAtRun());
  #client: Client | null = null;
  #texts = en;
  #format = new Format('en');
  #wasReady = false;
  #hostTimer: ReturnType<typeof setTimeout> | undefined;
  #refreshTimer: ReturnType<typeof setTimeout> | undefined;
  #askedAt = 0;

  override connectedCallback(): void {
    super.connectedCallback();
    document.addEventListener('visibilitychange', this.#seenAgain);
    if (this.hasUpdated && this.#client === null) this.#begin(); // put back into a document
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    document.removeEventListener('visibilitychange', this.#seenAgain);
    queueMicrotask(() => {
      if (!this.isConnected) this.#end(); // removed, and not only moved
    });
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has('texts')) this.#texts = withChanges(en, this.texts);
    if (changed.has('lang') || !this.hasUpdated) this.#format = new Format(this.#language());
  }

  protected override updated(changed: PropertyValues<this>): void {
    if (changed.has('department') || changed.has('api') || changed.has('getToken')) this.#begin();
  }

  protected override render(): TemplateResult {
    const { common } = this.#texts;
    return html`<div class="root" part="root">
      <h2>${common.title}</h2>
      ${this.signedOut ? this.#signInNotice() : nothing} ${this.#content()}
    </div>`;
  }

  #content(): TemplateResult {
    const { common } = this.#texts;
    if (this.#client === null && this.waited) return notice({ kind: 'bad', words: common.misplaced });
    if (this.#all.state.is === 'forbidden') {
      return notice({ kind: 'info', words: common.forbidden.title, fix: common.forbidden.body });
    }
    if (this.#client === null) return html`<p class="quiet">${common.loading}</p>`;
    const page = this.#page(this.#client);
    const shown = this.#shownViews();
    const view = shown.includes(viewNamed(this.view)) ? viewNamed(this.view) : 'overview';
    const panels = PANELS[view];
    return html`${shown.length > 1 ? this.#tabs(shown, view) : nothing}
      <div id="shown" role=${shown.length > 1 ? 'tabpanel' : 'none'} aria-labelledby="tab-${view}">
        ${panels === undefined ? nothing : panels(page)}
      </div>`;
  }

  #tabs(shown: readonly View[], current: View): TemplateResult {
    const { common } = this.#texts;
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
          @click=${() => this.#show(view, null)}
          @keydown=${(event: KeyboardEvent) => this.#tabKey(event, shown, view)}
        >${common.views[view]}</button>`,
      )}
    </div>`;
  }

  #tabKey(event: KeyboardEvent, shown: readonly View[], from: View): void {
    const to = tabAfter(shown, from, event.key);
    if (to === undefined) return;
    event.preventDefault();
    this.#show(to, null);
    void this.updateComplete.then(() => this.renderRoot.querySelector<HTMLElement>(`#tab-${to}`)?.focus());
  }

  #signInNotice(): TemplateResult {
    const { words, fix, action } = this.#texts.common.signedOut;
    const onPress = (): void => {
      this.#client?.signIn();
      this.signedOut = false;
      void this.#refresh();
    };
    return notice({ kind: 'warn', alert: true, words, fix, action: { label: action, kind: 'primary', onPress } });
  }

  #shownViews(): View[] {
    return VIEWS.filter((view) => PANELS[view] !== undefined);
  }

  #page(client: Client): Page {
    return {
      client,
      department: this.department,
      texts: this.#texts,
      format: this.#format,
      access: this.#access(),
      state: this.#all.state,
      run: this.run,
      runFailure: this.runFailure,
      item: this.item,
      actions: this.#actions,
    };
  }

  #access(): Access {
    if (this.#all.state.is === 'forbidden') return 'none';
    return dataOf(this.#all.state)?.access ?? 'read';
  }

  // beginning and ending

  #begin(): void {
    this.#end();
    if (this.department === '' || this.api === '' || this.getToken === undefined) {
      this.#hostTimer = setTimeout(() => {
        this.waited = true;
      }, HOST_MS);
      return;
    }
    this.#client = new Client({ api: this.api, getToken: this.getToken, onSignedOut: () => this.#onSignedOut() });
    this.signedOut = false;
    this.run = null;
    void this.#refresh(true);
  }

  #end(): void {
    this.#poll.stop();
    clearTimeout(this.#refreshTimer);
    clearTimeout(this.#hostTimer);
    this.#client?.end();
    this.#client = null;
  }

  #onSignedOut(): void {
    if (this.signedOut) return;
    this.signedOut = true;
    this.#actions.tell('pbm-signed-out', null);
  }

  #language(): string {
    const near = this.lang || this.parentElement?.closest<HTMLElement>('[lang]')?.lang;
    return near || document.documentElement.lang || navigator.language;
  }

  // what the page knows

  async #refresh(anew = false): Promise<void> {
    const client = this.#client;
    if (client === null) return;
    const { department } = this;
    this.#askedAt = Date.now();
    clearTimeout(this.#refreshTimer);
    const path = { department_id: department };
    const ask = (): Promise<PanelData> =>
      client.ask((calls) => calls.GET('/departments/{department_id}/panel', { params: { path } }));
    const data = await this.#all.load(ask, { anew });
    if (client !== this.#client) return;
    this.#refreshTimer = setTimeout(this.#seenAgain, FRESH_MS);
    if (data === undefined) return;
    if (data.newest_run !== null) this.#see(data.newest_run);
    if (!this.#wasReady) this.#actions.tell('pbm-ready', null);
    this.#wasReady = true;
  }

  readonly #seenAgain = (): void => {
    const isDue = Date.now() - this.#askedAt >= FRESH_MS;
    if (!document.hidden && isDue && !this.signedOut && this.#all.state.is !== 'forbidden') void this.#refresh();
  };

  #see(run: Run): void {
    const before = this.run;
    this.run = newerRun(before, run);
    if (this.run === null) return;
    const { id, status } = this.run;
    if (isActive(this.run)) {
      if (!this.#poll.isRunning) this.#poll.start();
    } else if (before?.id === id && isActive(before)) {
      this.#actions.tell('pbm-sync-finished', { run: id, status });
    }
  }

  async #lookAtRun(): Promise<boolean> {
    const [client, run] = [this.#client, this.run];
    if (client === null || run === null || !isActive(run)) return false;
    try {
      const path = { department_id: this.department, run_id: run.id };
      const seen = await client.ask((calls) =>
        calls.GET('/departments/{department_id}/syncs/{run_id}', { params: { path } }),
      );
      this.runFailure = null;
      this.#see(seen);
      if (isActive(seen)) return true;
      void this.#refresh();
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
    this.#actions.tell('pbm-view', { view, id: item });
  }

  readonly #actions: PageActions = {
    refresh: () => this.#refresh(),
    follow: (run) => {
      if (this.run?.id !== run.id) this.#actions.tell('pbm-sync-started', { run: run.id });
      this.#see(run);
    },
    show: (view, item) => this.#show(view, item ?? null),
    showCustomer: (id) => {
      if (this.#actions.tell('pbm-open-customer', { id })) this.#show('customer', id);
    },
    tell: (name, detail) => tell(this, name, detail),
    failed: (failure) => void tell(this, 'pbm-failed', { code: failure.code }),
  };
}

/** Tell the host of an event. False: it has cancelled what would follow. */
function tell<Name extends keyof PageEvents>(from: EventTarget, name: Name, detail: PageEvents[Name]): boolean {
  const cancelable = name === 'pbm-open-customer';
  return from.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true, cancelable }));
}

declare global {
  interface HTMLElementTagNameMap {
    'pracbill-mailchimp': PracBillMailchimp;
  }
}
