// What the public elements share: the host's properties, one client, the page's first call, sign-in, and the events.

import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { property, state } from 'lit/decorators.js';
import { Client } from '../api/client.ts';
import type { GetToken } from '../api/token.ts';
import type { PanelData } from '../api/types.ts';
import type { Access } from '../model/access.ts';
import { dataOf } from '../model/state.ts';
import { en, type TextChanges, withChanges } from '../text/en.ts';
import { Format } from '../text/format.ts';
import { Panel } from './base.ts';
import { Loader } from './loader.ts';
import { notice } from './notice.ts';
import type { Page, PageActions, PageEvents } from './page.ts';
import { hostTokens, shared } from './tokens.ts';

// A host gives the page its properties once its own script runs; later than this it has forgotten something.
const HOST_MS = 5000;

export abstract class PageElement extends LitElement {
  static override styles = [
    hostTokens,
    shared,
    css`.root { display: grid; gap: var(--_space); grid-template-columns: minmax(0, 1fr); padding: var(--_space); }`,
  ];

  @property() department = '';
  @property() api = '';
  @property({ reflect: true, useDefault: true }) theme: 'auto' | 'light' | 'dark' = 'auto';
  @property({ reflect: true, useDefault: true }) override lang = '';
  @property({ attribute: false }) getToken: GetToken | undefined;
  @property({ attribute: false }) texts: TextChanges | undefined;

  @state() protected signedOut = false;
  /** The host has had time enough to say what it has to. */
  @state() private waited = false;
  protected readonly all = new Loader<PanelData>(this, (failure) => this.actions.failed(failure));
  protected client: Client | null = null;
  protected words = en;
  #format = new Format('en');
  #wasReady = false;
  #hostTimer: ReturnType<typeof setTimeout> | undefined;

  protected abstract readonly actions: PageActions;
  /** What is shown to whoever has access. */
  protected abstract panels(page: Page): TemplateResult;
  /** What of the page is this element's own. */
  protected abstract get shown(): Pick<Page, 'run' | 'runFailure' | 'item'>;

  override connectedCallback(): void {
    super.connectedCallback();
    if (this.hasUpdated && this.client === null) this.begin(); // put back into a document
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    queueMicrotask(() => {
      if (!this.isConnected) this.end(); // removed, and not only moved
    });
  }

  protected override willUpdate(changed: PropertyValues): void {
    if (changed.has('texts')) this.words = withChanges(en, this.texts);
    if (changed.has('lang') || !this.hasUpdated) this.#format = new Format(this.#language());
  }

  /** Where what had the focus goes, such as with the view, the heading of what is shown has it. */
  protected override update(changed: PropertyValues): void {
    const had = this.shadowRoot?.activeElement;
    super.update(changed);
    if (had && !this.shadowRoot?.activeElement) void this.shownPanels[0]?.focusOn('#heading');
  }

  protected get shownPanels(): Panel<unknown>[] {
    return [...this.renderRoot.querySelectorAll('*')].filter((one) => one instanceof Panel);
  }

  protected override updated(changed: PropertyValues): void {
    // A host may hand over a new function at each of its own renderings: that is no reason to begin anew.
    const isFirstToken = changed.has('getToken') && (changed.get('getToken') === undefined || this.client === null);
    if (changed.has('department') || changed.has('api') || isFirstToken) this.begin();
  }

  protected override render(): TemplateResult {
    return html`<div class="root" part="root">
      ${this.drawTitle()} ${this.signedOut ? this.#signInNotice() : nothing} ${this.#content()}
    </div>`;
  }

  protected drawTitle(): TemplateResult | typeof nothing {
    return nothing;
  }

  #content(): TemplateResult {
    const { common } = this.words;
    if (this.client === null && this.waited) return notice({ kind: 'bad', words: common.misplaced });
    if (this.all.state.is === 'forbidden') {
      return notice({ kind: 'info', words: common.forbidden.title, fix: common.forbidden.body });
    }
    if (this.client === null) return html`<p class="quiet">${common.loading}</p>`;
    return this.panels(this.#page(this.client));
  }

  #signInNotice(): TemplateResult {
    const { words, fix, action } = this.words.common.signedOut;
    const onPress = (): void => {
      this.client?.signIn();
      this.signedOut = false;
      void this.refresh();
    };
    return notice({ kind: 'warn', alert: true, words, fix, action: { label: action, kind: 'primary', onPress } });
  }

  #page(client: Client): Page {
    return {
      client,
      department: this.department,
      texts: this.words,
      format: this.#format,
      access: this.#access(),
      state: this.all.state,
      actions: this.actions,
      ...this.shown,
    };
  }

  #access(): Access {
    if (this.all.state.is === 'forbidden') return 'none';
    return dataOf(this.all.state)?.access ?? 'read';
  }

  protected begin(): void {
    this.end();
    if (this.department === '' || this.api === '' || this.getToken === undefined) {
      this.#hostTimer = setTimeout(() => {
        this.waited = true;
      }, HOST_MS);
      return;
    }
    this.client = new Client({
      api: this.api,
      getToken: (how) => this.getToken?.(how) ?? Promise.reject(new Error('The host has taken getToken back.')),
      onSignedOut: () => this.#onSignedOut(),
    });
    this.signedOut = false;
    void this.refresh(true);
  }

  protected end(): void {
    clearTimeout(this.#hostTimer);
    this.client?.end();
    this.client = null;
  }

  /** Read everything that is shown first. Undefined: it failed, or the answer is for nobody any more. */
  protected async refresh(anew = false): Promise<PanelData | undefined> {
    const { client } = this;
    if (client === null) return undefined;
    const path = { department_id: this.department };
    const ask = (): Promise<PanelData> =>
      client.ask((calls) => calls.GET('/departments/{department_id}/panel', { params: { path } }));
    const data = await this.all.load(ask, { anew });
    if (data === undefined || client !== this.client) return undefined;
    if (!this.#wasReady) this.tell('pbm-ready', null);
    this.#wasReady = true;
    return data;
  }

  protected async put(part: Partial<PanelData>): Promise<void> {
    this.all.change((data) => ({ ...data, ...part }));
    await this.updateComplete;
  }

  /** Tell the host of an event. False: it has cancelled what would follow. */
  protected tell<Name extends keyof PageEvents>(name: Name, detail: PageEvents[Name]): boolean {
    const cancelable = name === 'pbm-open-customer';
    return this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true, cancelable }));
  }

  #onSignedOut(): void {
    if (this.signedOut) return;
    this.signedOut = true;
    this.tell('pbm-signed-out', null);
  }

  #language(): string {
    const near = this.lang || this.parentElement?.closest<HTMLElement>('[lang]')?.lang;
    return near || document.documentElement.lang || navigator.language;
  }
}
