// One sync: what it did, and for whom, problems first.

import { css, html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { state } from 'lit/decorators.js';
import type { Run, RunRecord } from '../api/types.ts';
import { countsOf, isActive, type Outcome, outcomesOf } from '../model/run.ts';
import { dataOf, type State } from '../model/state.ts';
import { Panel } from '../ui/base.ts';
import { button } from '../ui/button.ts';
import { element } from '../ui/define.ts';
import { download } from '../ui/download.ts';
import { selectField } from '../ui/field.ts';
import { Loader } from '../ui/loader.ts';
import { exactMoment } from '../ui/moment.ts';
import { notice } from '../ui/notice.ts';

interface Shown {
  readonly run: Run;
  readonly records: readonly RunRecord[];
  readonly next_cursor: string | null;
}

const LOOKS: Readonly<Record<string, string>> = { done: 'good', held: 'warn', refused: 'bad', failed: 'bad' };
const AT_ONCE = 25;

@element('pbm-run-detail')
export class RunDetailPanel extends Panel<Shown> {
  static override styles = [
    ...Panel.styles,
    css`
      :host { --reserved: 24em; }
      dl { display: flex; flex-wrap: wrap; gap: 0.75em 2em; }
      dt { font-size: 0.875em; color: var(--_quiet); }
      dd { margin: 0; font-weight: 600; }
      h4 { margin: 0; }
      .filter { display: flex; flex-wrap: wrap; gap: 0.75em; align-items: end; }
      .filter .field { flex: 0 1 16em; }
      @container (max-width: 38em) {
        table, tbody, tr, td { display: block; }
        thead { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%); }
        tr { border-block-end: 1px solid var(--_line); padding-block: 0.5em; }
        td { border: 0; padding: 0.15em 0; }
      }
    `,
  ];

  @state() private outcome: '' | Outcome = '';
  readonly #shown = new Loader<Shown>(this, (failure) => this.page.actions.failed(failure));
  #askedFor = '';
  #item = '';

  protected override get heading(): string {
    return this.page.texts.run.title;
  }

  protected override get data(): State<Shown> {
    return this.#shown.state;
  }

  protected override willUpdate(changed: PropertyValues): void {
    super.willUpdate(changed);
    if (this.page === undefined) return;
    const { department, item, run } = this.page;
    const of = JSON.stringify([department, item]);
    const anew = of !== this.#item;
    if (anew) this.outcome = '';
    this.#item = of;
    // A run that is under way is read again when it goes on to another phase, and when it ends.
    const now = run?.id === item ? [run?.status, run?.phase] : [];
    const wanted = JSON.stringify([of, this.outcome, now]);
    if (wanted === this.#askedFor) return;
    this.#askedFor = wanted;
    void this.#load(anew, true);
  }

  /** Whoever has read on stays there; the first records are read anew. */
  protected override pageRead(): void {
    const shown = dataOf(this.#shown.state);
    if (this.doing === null && (shown === undefined || shown.records.length <= AT_ONCE)) void this.#load(false);
  }

  protected override reload(): void {
    void this.#load(false);
  }

  protected override drawActions(): TemplateResult {
    const { texts, actions } = this.page;
    return button({ label: texts.run.close, onPress: () => actions.show('sync') });
  }

  protected override draw(shown: Shown): TemplateResult {
    const { run } = shown;
    return html`${run.dry_run ? notice({ kind: 'info', words: this.page.texts.run.dryRun }) : nothing}
      ${this.#facts(run)} ${run.message === '' ? nothing : html`<p>${run.message}</p>`} ${this.#counts(run)}
      ${this.#records(shown)}`;
  }

  #facts(run: Run): TemplateResult {
    const { texts, format } = this.page;
    const { run: words, sync } = texts;
    return html`<dl>
      <div><dt>${texts.logs.columns.type}</dt><dd>${sync.types[run.type] ?? run.type}</dd></div>
      <div><dt>${texts.logs.columns.status}</dt><dd>${sync.statuses[run.status] ?? run.status}</dd></div>
      <div><dt>${words.started}</dt><dd>${exactMoment(run.started_at, format)}</dd></div>
      <div><dt>${words.ended}</dt><dd>${
        run.finished_at === null ? words.running : exactMoment(run.finished_at, format)
      }</dd></div>
      ${run.started_by === null ? nothing : html`<div><dt>${words.startedBy}</dt><dd>${run.started_by}</dd></div>`}
      ${run.approved_by === null ? nothing : html`<div><dt>${words.approvedBy}</dt><dd>${run.approved_by}</dd></div>`}
    </dl>`;
  }

  #counts(run: Run): TemplateResult {
    const { texts, format } = this.page;
    const words = texts.run;
    const counts = countsOf(run, words.count);
    return html`<h4>${run.dry_run ? words.counts.planned : words.counts.title}</h4>
      ${
        counts.length === 0
          ? html`<p class="quiet">${isActive(run) ? words.running : words.counts.none}</p>`
          : html`<dl>${counts.map(
              ([key, count]) => html`<div><dt>${words.count[key] ?? key}</dt><dd>${format.number(count)}</dd></div>`,
            )}</dl>`
      }`;
  }

  #records({ run, records, next_cursor }: Shown): TemplateResult | typeof nothing {
    const words = this.page.texts.run.records;
    if (outcomesOf(run).length === 0 && records.length === 0) return nothing;
    return html`<h4>${words.title}</h4>
      ${this.#filter(run)}
      ${records.length === 0 ? html`<p class="quiet">${words.none}</p>` : this.#table(records)}
      ${
        next_cursor === null
          ? nothing
          : html`<div class="row">${button({
              label: words.more,
              busy: this.doing === 'more',
              onPress: () => void this.#more(next_cursor),
            })}</div>`
      }`;
  }

  #filter(run: Run): TemplateResult {
    const { texts, format } = this.page;
    const { records: words, outcomes } = texts.run;
    const choices = outcomesOf(run).map(({ outcome, count }) => ({
      value: outcome,
      label: words.option(outcomes[outcome] ?? outcome, format.number(count)),
    }));
    return html`<div class="filter">
      ${selectField({
        id: 'outcome',
        label: words.filter,
        value: this.outcome,
        choices: [{ value: '', label: words.all }, ...choices],
        onChange: (value) => {
          this.outcome = value as '' | Outcome;
        },
      })}
      ${button({ label: words.csv, icon: 'download', busy: this.doing === 'csv', onPress: () => void this.#csv(run) })}
    </div>`;
  }

  #table(records: readonly RunRecord[]): TemplateResult {
    const { columns, title } = this.page.texts.run.records;
    return html`<div class="sideways" role="group" aria-label=${title} tabindex="0">
      <table role="table" aria-label=${title}>
        <thead role="rowgroup"><tr role="row">${Object.values(columns).map(
          (name) => html`<th role="columnheader" scope="col">${name}</th>`,
        )}</tr></thead>
        <tbody role="rowgroup">${records.map((record) => this.#row(record))}</tbody>
      </table>
    </div>`;
  }

  #row(record: RunRecord): TemplateResult {
    const { texts, actions } = this.page;
    const words = texts.run;
    return html`<tr role="row">
      <td role="cell">${button({
        label: texts.customer.open(record.customer_id),
        kind: 'plain',
        onPress: () => actions.showCustomer(record.customer_id),
      })} <span class="quiet">${record.address}</span></td>
      <td role="cell">${words.actions[record.action] ?? record.action}</td>
      <td role="cell" class=${LOOKS[record.outcome] ?? ''}>${words.outcomes[record.outcome] ?? record.outcome}</td>
      <td role="cell">${record.cause}</td>
      <td role="cell">${record.fix}</td>
    </tr>`;
  }

  // asking

  get #path(): { department_id: string; run_id: string } {
    return { department_id: this.page.department, run_id: this.page.item ?? '' };
  }

  get #filters(): { outcome?: Outcome } {
    return this.outcome === '' ? {} : { outcome: this.outcome };
  }

  async #load(anew: boolean, filtered = false): Promise<void> {
    const shown = await this.#shown.load(() => this.#ask(), { anew });
    const { texts, format } = this.page;
    const words = shown && format.count(shown.records.length, texts.run.records.shown);
    if (words !== undefined && (anew || filtered)) this.announce(words);
  }

  async #ask(): Promise<Shown> {
    const path = this.#path;
    const [run, page] = await Promise.all([
      this.page.client.ask((calls) => calls.GET('/departments/{department_id}/syncs/{run_id}', { params: { path } })),
      this.#page(),
    ]);
    return { run, records: page.items, next_cursor: page.next_cursor };
  }

  #page(cursor?: string): Promise<{ items: RunRecord[]; next_cursor: string | null }> {
    const query = { limit: AT_ONCE, ...this.#filters, ...(cursor ? { cursor } : {}) };
    return this.page.client.ask((calls) =>
      calls.GET('/departments/{department_id}/syncs/{run_id}/records', { params: { path: this.#path, query } }),
    );
  }

  async #more(cursor: string): Promise<void> {
    const askedFor = this.#askedFor;
    const next = await this.perform('more', () => this.#page(cursor));
    if (next === undefined || askedFor !== this.#askedFor) return;
    this.#shown.change((shown) => ({
      ...shown,
      records: [...shown.records, ...next.items],
      next_cursor: next.next_cursor,
    }));
  }

  async #csv(run: Run): Promise<void> {
    const text = await this.perform('csv', () => this.#allAsCsv());
    if (text !== undefined) download(`sync-${run.id}.csv`, text, 'text/csv');
  }

  async #allAsCsv(): Promise<string> {
    const [path, filters] = [this.#path, this.#filters];
    let [all, cursor] = ['', ''];
    do {
      const query = { limit: 1000, ...filters, ...(cursor ? { cursor } : {}) };
      const page = await this.page.client.ask(async (calls) => {
        const { data, response } = await calls.GET('/departments/{department_id}/syncs/{run_id}/records', {
          params: { path, query },
          headers: { Accept: 'text/csv' },
          parseAs: 'text',
        });
        return { data: { text: data ?? '', next: response.headers.get('Next-Cursor') }, response };
      });
      all += page.text;
      cursor = page.next ?? '';
    } while (cursor !== '');
    return all;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'pbm-run-detail': RunDetailPanel;
  }
}
