// Reconciliation: from PracBill's count to Mailchimp's, a row and a bar for each reason.

import { css, html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import type { Reconciliation, Run } from '../api/types.ts';
import { type Bar, barsOf, casesBehind, lastFull } from '../model/reconciliation.ts';
import { itemOf } from '../model/run.ts';
import { dataOf, ready, type State } from '../model/state.ts';
import { bar } from '../ui/bars.ts';
import { Panel } from '../ui/base.ts';
import { button } from '../ui/button.ts';
import { element } from '../ui/define.ts';
import { Loader } from '../ui/loader.ts';
import { exactMoment, relativeMoment } from '../ui/moment.ts';

interface Compared {
  readonly counts: Reconciliation;
  /** Whose records tell who is behind the reasons. */
  readonly full: Run | null;
}

/** Null: there is no audience to compare with. */
type Shown = Compared | null;

// Among so many of the newest syncs the last full one is looked for.
const RUNS = 50;

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
      @media (forced-colors: active) { .chart, .less .chart, .unsure .chart { fill: CanvasText; } }
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

  protected override draw(compared: Shown): TemplateResult {
    const { texts, format } = this.page;
    const words = texts.reconciliation;
    if (compared === null) return html`<p class="quiet">${words.notConnected}</p>`;
    const { counts, full } = compared;
    const { difference } = counts;
    return html`<p class="quiet">${words.intro}</p>
      <p>${difference === 0 ? words.same : words.differ(format.number(Math.abs(difference)))}
        <span class="quiet">${words.asOf} ${relativeMoment(counts.as_of, format)}.</span></p>
      ${this.#table(compared)} ${full === null ? nothing : this.#toRecords(full)}`;
  }

  #table({ counts, full }: Compared): TemplateResult {
    const { columns, caption } = this.page.texts.reconciliation;
    return html`<div class="sideways" role="group" aria-label=${caption} tabindex="0">
      <table aria-label=${caption}>
        <thead><tr>
          <th scope="col">${columns.what}</th>
          <th scope="col" class="number">${columns.count}</th>
          <td aria-hidden="true"></td>
        </tr></thead>
        <tbody>${barsOf(counts).map((one) => this.#row(one, full))}</tbody>
      </table>
    </div>`;
  }

  #row(one: Bar, full: Run | null): TemplateResult {
    const { texts, format } = this.page;
    const { pracbill, mailchimp, reasons } = texts.reconciliation;
    const whole = one.code === 'pracbill' || one.code === 'mailchimp';
    const name = { pracbill, mailchimp, ...reasons }[one.code] ?? one.explanation;
    const look = whole ? 'whole' : lookOf(one);
    return html`<tr class=${look}>
      <th scope="row">${name} ${full === null ? nothing : this.#behind(one.code, full)}</th>
      <td class="number">${whole ? format.number(one.change) : format.signed(one.change)}</td>
      <td aria-hidden="true">${bar(one.from, one.to)}</td>
    </tr>`;
  }

  /** The customers behind a reason, a button for each case of the last full sync's records. */
  #behind(reason: string, full: Run): TemplateResult[] {
    const { texts, format, actions } = this.page;
    return casesBehind(reason, full).map(({ code, count }) => {
      const label = texts.reconciliation.behind(
        texts.run.cases[code] ?? texts.run.outcomes[code] ?? code,
        format.number(count),
      );
      return button({ label, kind: 'plain', onPress: () => actions.show('sync', itemOf(full.id, code)) });
    });
  }

  #toRecords(full: Run): TemplateResult {
    const { texts, format, actions } = this.page;
    const { records, from } = texts.reconciliation;
    return html`<div class="row">
      ${button({ label: records, onPress: () => actions.show('sync', full.id) })}
      <span class="quiet">${from} ${exactMoment(full.finished_at ?? full.started_at, format)}.</span>
    </div>`;
  }

  async #load(anew: boolean): Promise<void> {
    const { client, department } = this.page;
    const params = { path: { department_id: department } };
    const query = { limit: RUNS };
    await this.#counts.load(
      async () => {
        const [counts, runs] = await Promise.all([
          client.ask((calls) => calls.GET('/departments/{department_id}/reconciliation', { params })),
          client.ask((calls) => calls.GET('/departments/{department_id}/syncs', { params: { ...params, query } })),
        ]);
        return { counts, full: lastFull(runs.items) };
      },
      { anew },
    );
  }
}

function lookOf({ code, change }: Bar): string {
  if (code === 'not_counted_yet') return 'unsure';
  return change < 0 ? 'less' : 'more';
}

declare global {
  interface HTMLElementTagNameMap {
    'pbm-reconciliation': ReconciliationPanel;
  }
}
