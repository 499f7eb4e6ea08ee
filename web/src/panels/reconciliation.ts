// Reconciliation: from PracBill's count to Mailchimp's, a row and a bar for each reason.

import { css, html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import type { Reconciliation } from '../api/types.ts';
import { type Bar, barsOf } from '../model/reconciliation.ts';
import { dataOf, ready, type State } from '../model/state.ts';
import { bar } from '../ui/bars.ts';
import { Panel } from '../ui/base.ts';
import { button } from '../ui/button.ts';
import { element } from '../ui/define.ts';
import { Loader } from '../ui/loader.ts';
import { relativeMoment } from '../ui/moment.ts';

/** Null: there is no audience to compare with. */
type Shown = Reconciliation | null;

@element('pbm-reconciliation')
export class ReconciliationPanel extends Panel<Shown> {
  static override styles = [
    ...Panel.styles,
    css`
      :host { --reserved: 24em; }
      tbody th { color: var(--_text); font-weight: 400; inline-size: 50%; }
      .whole th, .whole td { font-weight: 600; }
      .unsure th, .unsure td { color: var(--_quiet); }
      .chart { display: block; inline-size: 100%; block-size: 1.25em; fill: var(--_accent); }
      .less .chart { fill: var(--_warn); }
      .unsure .chart { fill: var(--_quiet); }
      @media (forced-colors: active) { .chart { fill: CanvasText; } }
    `,
  ];

  readonly #counts = new Loader<Shown>(this, (failure) => this.page.actions.failed(failure));
  #askedFor = '';

  protected override get heading(): string {
    return this.page.texts.reconciliation.title;
  }

  protected override get data(): State<Shown> {
    const { state } = this.page;
    const all = dataOf(state);
    if (all === undefined) return state as State<Shown>;
    return all.audience === null ? ready(null) : this.#counts.state;
  }

  protected override willUpdate(changed: PropertyValues): void {
    super.willUpdate(changed);
    if (this.page === undefined) return;
    const { department, state } = this.page;
    const audience = dataOf(state)?.audience ?? null;
    const wanted = JSON.stringify([department, audience?.id]);
    if (audience === null || wanted === this.#askedFor) return;
    this.#askedFor = wanted;
    void this.#load(true);
  }

  protected override pageRead(): void {
    if (this.#askedFor !== '') void this.#load(false);
  }

  protected override reload(): void {
    if (dataOf(this.page.state) === undefined) super.reload();
    else void this.#load(false);
  }

  protected override draw(counts: Shown): TemplateResult {
    const { texts, format } = this.page;
    const words = texts.reconciliation;
    if (counts === null) return html`<p class="quiet">${words.notConnected}</p>`;
    const { difference } = counts;
    return html`<p class="quiet">${words.intro}</p>
      <p>${difference === 0 ? words.same : words.differ(format.number(Math.abs(difference)))}
        <span class="quiet">${words.asOf} ${relativeMoment(counts.as_of, format)}.</span></p>
      ${this.#table(counts)} ${this.#toRecords()}`;
  }

  #table(counts: Reconciliation): TemplateResult {
    const { columns, caption } = this.page.texts.reconciliation;
    return html`<div class="sideways" role="group" aria-label=${caption} tabindex="0">
      <table aria-label=${caption}>
        <thead><tr>
          <th scope="col">${columns.what}</th>
          <th scope="col" class="number">${columns.count}</th>
          <td aria-hidden="true"></td>
        </tr></thead>
        <tbody>${barsOf(counts).map((one) => this.#row(one))}</tbody>
      </table>
    </div>`;
  }

  #row(one: Bar): TemplateResult {
    const { texts, format } = this.page;
    const words = texts.reconciliation;
    const whole = one.code === 'pracbill' || one.code === 'mailchimp';
    const name =
      one.code === 'pracbill' ? words.pracbill : one.code === 'mailchimp' ? words.mailchimp : one.explanation;
    const look = whole ? 'whole' : one.code === 'not_counted_yet' ? 'unsure' : one.change < 0 ? 'less' : 'more';
    return html`<tr class=${look}>
      <th scope="row">${name}</th>
      <td class="number">${whole ? format.number(one.change) : format.signed(one.change)}</td>
      <td aria-hidden="true">${bar(one.from, one.to)}</td>
    </tr>`;
  }

  /** The records of the newest sync tell who is behind the reasons. */
  #toRecords(): TemplateResult | typeof nothing {
    const { run, texts, actions } = this.page;
    if (run === null) return nothing;
    const label = texts.reconciliation.records;
    return html`<div class="row">${button({ label, onPress: () => actions.show('sync', run.id) })}</div>`;
  }

  async #load(anew: boolean): Promise<void> {
    const { client, department } = this.page;
    const params = { path: { department_id: department } };
    await this.#counts.load(
      () => client.ask((calls) => calls.GET('/departments/{department_id}/reconciliation', { params })),
      { anew },
    );
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'pbm-reconciliation': ReconciliationPanel;
  }
}
