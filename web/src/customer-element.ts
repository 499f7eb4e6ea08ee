// <pracbill-mailchimp-customer>: the look-up of one customer, for PracBill's own page of that customer.

import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { property, state } from 'lit/decorators.js';
import { Client } from './api/client.ts';
import type { GetToken } from './api/token.ts';
import type { PanelData } from './api/types.ts';
import type { Access } from './model/access.ts';
import { dataOf } from './model/state.ts';
import './panels/customer.ts';
import { en, type TextChanges, withChanges } from './text/en.ts';
import { Format } from './text/format.ts';
import { element } from './ui/define.ts';
import { Loader } from './ui/loader.ts';
import { notice } from './ui/notice.ts';
import type { Page, PageActions, PageEvents } from './ui/page.ts';
import { hostTokens, shared } from './ui/tokens.ts';

@element('pracbill-mailchimp-customer')
export class PracBillMailchimpCustomer extends LitElement {
  static override styles = [
    hostTokens,
    shared,
    css`.root { display: grid; gap: var(--_space); grid-template-columns: minmax(0, 1fr); padding: var(--_space); }`,
  ];

  @property() department = '';
  @property() api = '';
  /** The id of the customer in PracBill. */
  @property({ reflect: true }) customer = '';
  @property({ reflect: true, useDefault: true }) theme: 'auto' | 'light' | 'dark' = 'auto';
  @property({ reflect: true, useDefault: true }) override lang = '';
  @property({ attribute: false }) getToken: GetToken | undefined;
  @property({ attribute: false }) texts: TextChanges | undefined;

  @state() private signedOut = false;
  readonly #all = new Loader<PanelData>(this, (failure) => this.#actions.failed(failure));
  #client: Client | null = null;
  #texts = en;
  #format = new Format('en');
  #wasReady = false;

  override connectedCallback(): void {
    super.connectedCallback();
    if (this.hasUpdated && this.#client === null) this.#begin(); // put back into a document
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
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
    return html`<div class="root" part="root">
      ${this.signedOut ? this.#signInNotice() : nothing} ${this.#content()}
    </div>`;
  }

  #content(): TemplateResult {
    const { common } = this.#texts;
    if (this.#all.state.is === 'forbidden') {
      return notice({ kind: 'info', words: common.forbidden.title, fix: common.forbidden.body });
    }
    if (this.#client === null) return html`<p class="quiet">${common.loading}</p>`;
    return html`<pbm-customer
      alone
      exportparts="panel, button, button-primary"
      .page=${this.#page(this.#client)}
    ></pbm-customer>`;
  }

  #signInNotice(): TemplateResult {
    const { words, fix, action } = this.#texts.common.signedOut;
    const onPress = (): void => {
      this.#client?.signIn();
      this.#begin();
    };
    return notice({ kind: 'warn', alert: true, words, fix, action: { label: action, kind: 'primary', onPress } });
  }

  #page(client: Client): Page {
    return {
      client,
      department: this.department,
      texts: this.#texts,
      format: this.#format,
      access: this.#access(),
      state: this.#all.state,
      run: null,
      runFailure: null,
      item: this.customer || null,
      actions: this.#actions,
    };
  }

  #access(): Access {
    return dataOf(this.#all.state)?.access ?? 'read';
  }

  #begin(): void {
    this.#end();
    if (this.department === '' || this.api === '' || this.getToken === undefined) return;
    this.#client = new Client({ api: this.api, getToken: this.getToken, onSignedOut: () => this.#onSignedOut() });
    this.signedOut = false;
    void this.#refresh(true);
  }

  #end(): void {
    this.#client?.end();
    this.#client = null;
  }

  /** What somebody may do is answered with the page's first call. */
  async #refresh(anew = false): Promise<void> {
    const client = this.#client;
    if (client === null) return;
    const path = { department_id: this.department };
    const ask = (): Promise<PanelData> =>
      client.ask((calls) => calls.GET('/departments/{department_id}/panel', { params: { path } }));
    const data = await this.#all.load(ask, { anew });
    if (data === undefined || client !== this.#client) return;
    if (!this.#wasReady) this.#actions.tell('pbm-ready', null);
    this.#wasReady = true;
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

  readonly #actions: PageActions = {
    refresh: () => this.#refresh(),
    follow: () => undefined,
    show: () => undefined,
    showCustomer: (id) => {
      if (this.#actions.tell('pbm-open-customer', { id })) this.customer = id;
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
    'pracbill-mailchimp-customer': PracBillMailchimpCustomer;
  }
}
