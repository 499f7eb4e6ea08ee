// Why a customer is, or is not, in the audience: the verdict first, then what it rests on; erasing.

import { css, html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { property, state } from 'lit/decorators.js';
import type { Failure } from '../api/failure.ts';
import type { Customer, FoundCustomer, FoundCustomers, LedgerEntry, SegmentVerdict } from '../api/types.ts';
import { detailsOf, lookUp, nameOf } from '../model/customer.ts';
import { ready, type State } from '../model/state.ts';
import { fieldWordsOf, verdictOf } from '../text/said.ts';
import { Panel } from '../ui/base.ts';
import { button } from '../ui/button.ts';
import { element } from '../ui/define.ts';
import { textField } from '../ui/field.ts';
import { icon } from '../ui/icons.ts';
import { Loader } from '../ui/loader.ts';
import { exactMoment, relativeMoment } from '../ui/moment.ts';
import { notice } from '../ui/notice.ts';

/** The customer that is shown; null: nobody has been chosen yet. */
type Shown = Customer | null;

@element('pbm-customer')
export class CustomerPanel extends Panel<Shown> {
  static override styles = [
    ...Panel.styles,
    css`
      :host { --reserved: 20em; }
      form { display: flex; flex-wrap: wrap; gap: 0.625em; align-items: end; flex: 1 1 20em; max-inline-size: 32em; }
      form .field { flex: 1 1 12em; }
      dl { display: flex; flex-wrap: wrap; gap: 0.75em 2em; }
      dt { font-size: 0.875em; color: var(--_quiet); }
      dd { margin: 0; font-weight: 600; }
      ul { list-style: none; padding: 0; display: grid; gap: 0.5em; }
      ul ul { padding-inline-start: 1.5em; }
      h4 { margin: 0; }
      @container (max-width: 38em) {
        table, tbody, tr, td { display: block; }
        thead { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%); }
        tr { border-block-end: 1px solid var(--_line); padding-block: 0.5em; }
        td { border: 0; padding: 0.15em 0; }
      }
    `,
  ];

  /** Leave the search out: the host shows one customer of its own. */
  @property({ type: Boolean }) alone = false;

  @state() private typed = '';
  @state() private typedWrong = '';
  @state() private found: FoundCustomers | null = null;
  @state() private erased = '';
  readonly #customer = new Loader<Shown>(this, (failure) => this.page.actions.failed(failure));
  #shown = '';

  protected override get heading(): string {
    return this.page.texts.customer.title;
  }

  protected override get data(): State<Shown> {
    const hasNobody = this.found !== null || this.erased !== '' || this.page.item === null;
    return hasNobody ? ready(null) : this.#customer.state;
  }

  protected override willUpdate(changed: PropertyValues): void {
    super.willUpdate(changed);
    if (this.page === undefined) return;
    const { department, item } = this.page;
    const wanted = JSON.stringify([department, item]);
    if (wanted === this.#shown) return;
    this.#shown = wanted;
    this.found = null;
    this.erased = '';
    if (item !== null) void this.#load(item, true);
  }

  protected override reload(): void {
    const { item } = this.page;
    if (item !== null) void this.#load(item, false);
  }

  protected override pageRead(): void {
    if (this.found === null && this.erased === '' && this.doing === null) this.reload();
  }

  /** Nobody of this id: what to check, and what may have become of the customer. */
  protected override failureWords(failure: Failure): { words: string; fix: string } {
    if (failure.code !== 'not-found') return super.failureWords(failure);
    const { words, search, check, why } = this.page.texts.customer.notFound;
    return { words: words(this.page.item ?? ''), fix: `${this.alone ? check : search} ${why}` };
  }

  protected override drawActions(): TemplateResult | typeof nothing {
    if (this.alone) return nothing;
    const { search } = this.page.texts.customer;
    const submit = (event: Event): void => {
      event.preventDefault();
      void this.#find();
    };
    return html`<form role="search" @submit=${submit}>
      ${textField({
        id: 'search',
        label: search.label,
        value: this.typed,
        error: this.typedWrong || this.#refusedQuery,
        maxLength: 200,
        type: 'search',
        onInput: (value) => {
          this.typed = value;
          this.typedWrong = '';
          this.problem = null;
        },
      })}
      ${button({
        label: search.action,
        icon: 'search',
        type: 'submit',
        busy: this.doing === 'find',
        onPress: () => undefined,
      })}
    </form>`;
  }

  protected override draw(customer: Shown): TemplateResult {
    if (this.found !== null) return this.#results(this.found);
    if (this.erased !== '') return notice({ kind: 'good', words: this.erased });
    if (customer === null) return html`<p class="quiet">${this.page.texts.customer.intro}</p>`;
    return html`${notice({ kind: customer.in_audience ? 'good' : 'info', words: verdictOf(customer, this.page.texts) })}
      ${this.#facts(customer)} ${this.#refusal(customer)} ${this.#segments(customer.segments)}
      ${this.#ledger(customer.consent_ledger)} ${this.mayChange ? this.#eraseButton(customer) : nothing}`;
  }

  get #refusedQuery(): string {
    const { problem, page } = this;
    return problem === null ? '' : (fieldWordsOf(problem, page.texts, page.format).query ?? '');
  }

  protected override drawProblem(failure: Failure): TemplateResult | typeof nothing {
    return this.#refusedQuery === '' ? super.drawProblem(failure) : nothing;
  }

  #results(found: FoundCustomers): TemplateResult {
    const words = this.page.texts.customer;
    if (found.items.length === 0) return html`<p>${words.none}</p>`;
    return html`<ul id="results" aria-label=${words.results}>${found.items.map((one) => this.#result(one))}</ul>
      ${found.complete ? nothing : html`<p class="quiet">${words.incomplete}</p>`}`;
  }

  #result(customer: FoundCustomer): TemplateResult {
    return html`<li class="row">
      ${button({
        label: nameOf(customer),
        kind: 'plain',
        onPress: () => this.#choose(customer.customer_id),
      })}
      <span class="quiet">${detailsOf(customer).join(' · ')}</span>
    </li>`;
  }

  #facts(customer: Customer): TemplateResult {
    const { texts, format } = this.page;
    const words = texts.customer;
    const pushed = customer.last_push;
    return html`<dl>
      <div><dt>${words.id}</dt><dd>${customer.customer_id}</dd></div>
      <div><dt>${words.address}</dt><dd>${customer.address ?? words.noAddress}</dd></div>
      <div><dt>${words.status}</dt><dd>${words.statuses[customer.member_status] ?? customer.member_status}</dd></div>
      <div><dt>${words.lastPush}</dt><dd>${
        pushed === null
          ? words.never
          : html`${relativeMoment(pushed.at, format)} <span class="quiet">${words.statuses[pushed.status] ?? pushed.status}</span>`
      }</dd></div>
      ${customer.shared_with.length === 0 ? nothing : this.#shared(customer.shared_with)}
    </dl>`;
  }

  #shared(ids: readonly string[]): TemplateResult {
    const words = this.page.texts.customer;
    return html`<div>
      <dt>${words.shared}</dt>
      <dd>
        ${ids.map((id) => button({ label: words.open(id), kind: 'plain', onPress: () => this.page.actions.showCustomer(id) }))}
        <span class="quiet">${words.sharedNote}</span>
      </dd>
    </div>`;
  }

  #refusal({ last_refusal: refusal }: Customer): TemplateResult | typeof nothing {
    if (refusal === null) return nothing;
    const { texts, format } = this.page;
    const words = texts.customer.refusal;
    return html`<div class="stack">
      <h4>${words.title}</h4>
      ${notice({ kind: 'warn', words: refusal.cause, ...(refusal.fix ? { fix: refusal.fix } : {}) })}
      <p class="quiet">${exactMoment(refusal.at, format)} · ${
        refusal.retry_at === null ? words.waits : html`${words.retry} ${relativeMoment(refusal.retry_at, format)}.`
      }</p>
    </div>`;
  }

  #segments(segments: readonly SegmentVerdict[]): TemplateResult {
    const words = this.page.texts.customer.segments;
    return html`<div class="stack">
      <h4 id="segments">${words.title}</h4>
      ${
        segments.length === 0
          ? html`<p class="quiet">${words.none}</p>`
          : html`<ul aria-labelledby="segments">${segments.map((segment) => this.#segment(segment))}</ul>`
      }
    </div>`;
  }

  #segment(segment: SegmentVerdict): TemplateResult {
    const words = this.page.texts.customer.segments;
    const belongs = segment.matches ? words.matches : words.matchesNot;
    return html`<li>
      <p><span class="strong">${segment.name}</span> ·
        <span class=${segment.matches ? 'good' : ''}>${icon(segment.matches ? 'check' : 'cross')} ${belongs}</span>
        <span class="quiet">${segment.tagged ? words.tagged : words.taggedNot}</span></p>
      <ul>${segment.rules.map(
        (rule) => html`<li>
          <span class=${rule.passes ? 'good' : 'bad'}>${icon(rule.passes ? 'check' : 'cross')} ${rule.passes ? words.passes : words.fails}</span>
          ${rule.description} ${rule.found === '' ? nothing : html`<span class="quiet">${words.has(rule.found)}</span>`}
        </li>`,
      )}</ul>
    </li>`;
  }

  #ledger(entries: readonly LedgerEntry[]): TemplateResult {
    const words = this.page.texts.customer.ledger;
    return html`<div class="stack">
      <h4>${words.title}</h4>
      ${
        entries.length === 0
          ? html`<p class="quiet">${words.none}</p>`
          : html`<div class="sideways" role="group" aria-label=${words.title} tabindex="0">
              <table role="table" aria-label=${words.title}>
                <thead role="rowgroup"><tr role="row">${Object.values(words.columns).map(
                  (name) => html`<th role="columnheader" scope="col">${name}</th>`,
                )}</tr></thead>
                <tbody role="rowgroup">${entries.map((entry) => this.#entry(entry))}</tbody>
              </table>
            </div>`
      }
    </div>`;
  }

  #entry(entry: LedgerEntry): TemplateResult {
    const { texts, format } = this.page;
    const { ledger, statuses } = texts.customer;
    const named = (status: string | null): string => (status === null ? ledger.unknown : (statuses[status] ?? status));
    return html`<tr role="row">
      <td role="cell">${exactMoment(entry.at, format)}</td>
      <td role="cell">${ledger.change(named(entry.before), named(entry.after))}</td>
      <td role="cell">${ledger.who[entry.who] ?? entry.who}</td>
      <td role="cell">${ledger.routes[entry.route] ?? entry.route}</td>
      <td role="cell">${ledger.rules[entry.rule] ?? entry.rule}</td>
    </tr>`;
  }

  #eraseButton(customer: Customer): TemplateResult {
    return html`<div class="row">${button({
      label: this.page.texts.customer.erase.action,
      kind: 'danger',
      icon: 'bin',
      busy: this.doing === 'erase',
      onPress: () => void this.#erase(customer),
    })}</div>`;
  }

  // doing

  #choose(id: string): void {
    this.found = null;
    this.erased = '';
    if (id === this.page.item) void this.#load(id, true); // the same again, as it is by now
    this.page.actions.show('customer', id);
    void this.focusOn('#heading');
  }

  async #load(customer_id: string, anew: boolean): Promise<void> {
    const { client, department, texts } = this.page;
    const path = { department_id: department, customer_id };
    const customer = await this.#customer.load(
      () =>
        client.ask((calls) => calls.GET('/departments/{department_id}/customers/{customer_id}', { params: { path } })),
      { anew },
    );
    if (customer && anew) this.announce(texts.customer.shown(customer.customer_id));
  }

  async #find(): Promise<void> {
    const { client, department, texts, format } = this.page;
    const wanted = lookUp(this.typed);
    if (wanted.is === 'nothing') {
      this.typedWrong = texts.customer.search.empty;
      return this.focusOn('#search');
    }
    if (wanted.is === 'id') return this.#choose(wanted.of);
    const params = { path: { department_id: department }, query: { query: wanted.of } };
    const found = await this.perform('find', () =>
      client.ask((calls) => calls.GET('/departments/{department_id}/customers', { params })),
    );
    if (found === undefined) return this.#refusedQuery === '' ? undefined : this.focusOn('#search');
    const [only, another] = found.items;
    if (only !== undefined && another === undefined && found.complete) return this.#choose(only.customer_id);
    this.found = found;
    this.erased = '';
    this.announce(format.count(found.items.length, texts.customer.found));
  }

  async #erase({ customer_id }: Customer): Promise<void> {
    const { client, department, texts } = this.page;
    const { title, body, yes, no, typed, error } = texts.customer.erase;
    const question = {
      title,
      body,
      yes,
      no,
      danger: true,
      typed: { label: typed(customer_id), text: customer_id, error },
    };
    if (!(await this.confirm(question))) return;
    const params = { path: { department_id: department, customer_id } };
    const receipt = await this.perform('erase', () =>
      client.ask((calls) =>
        calls.POST('/departments/{department_id}/customers/{customer_id}/erase', {
          params,
          body: { confirm: customer_id },
        }),
      ),
    );
    if (receipt === undefined) return;
    this.erased = receipt.message;
    this.announce(receipt.message);
    await this.focusOn('#heading');
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'pbm-customer': CustomerPanel;
  }
}
