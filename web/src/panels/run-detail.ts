// One sync: what it did, and for whom, problems first.

import { css, html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { state } from 'lit/decorators.js';
import { download, readCsv } from '../api/csv.ts';
import type { Failure } from '../api/failure.ts';
import { startSync } from '../api/syncs.ts';
import type { Run, RunRecord } from '../api/types.ts';
import { countsOf, isActive, type Outcome, outcomesOf, plansAnything, reasonsOf, runItem } from '../model/run.ts';
import { dataOf, type State } from '../model/state.ts';
import { caseOf, messageOf } from '../text/said.ts';
import { Panel } from '../ui/base.ts';
import { button } from '../ui/button.ts';
import { element } from '../ui/define.ts';
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
const MOST_PAGES = 20;

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
  /** Of those held back: the code of the reason. */
  @state() private reason = '';
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
    if (anew) {
      const { outcome, reason } = runItem(item ?? '');
      this.outcome = outcome;
      this.reason = reason;
    }
    this.#item = of;
    // A run that is under way is read again when it goes on to another phase, and when it ends.
    const now = run?.id === this.#path.run_id ? [run?.status, run?.phase] : [];
    const wanted = JSON.stringify([of, this.outcome, this.reason, now]);
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

  protected override failureWords(failure: Failure): { words: string; fix: string } {
    return failure.code === 'not-found' ? this.page.texts.run.notFound : super.failureWords(failure);
  }

  protected override drawActions(): TemplateResult {
    const { texts, actions } = this.page;
    return button({ label: texts.run.close, onPress: () => actions.show('sync') });
  }

  protected override draw(shown: Shown): TemplateResult {
    const { run } = shown;
    const message = messageOf(run, this.page.texts, this.page.format);
    return html`${run.dry_run ? this.#preview(run) : nothing}
      ${this.#facts(run)} ${message === '' ? nothing : html`<p>${message}</p>`} ${this.#counts(run)}
      ${this.#records(shown)}`;
  }

  /** Nothing was sent: what follows is what would be, and the way to have it done. */
  #preview(run: Run): TemplateResult {
    const { run: words, sync } = this.page.texts;
    const mayStart = this.mayChange && !isActive(run) && plansAnything(run);
    const action = { label: sync.doIt, busy: this.doing === 'do-it', onPress: () => void this.#doIt(run) };
    return notice({ kind: 'info', words: words.dryRun, ...(mayStart ? { action } : {}) });
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
          this.reason = '';
        },
      })}
      ${this.outcome === 'held' ? this.#reasonField(run) : nothing}
      ${button({ label: words.csv, icon: 'download', busy: this.doing === 'csv', onPress: () => void this.#csv(run) })}
    </div>`;
  }

  #reasonField(run: Run): TemplateResult {
    const { texts, format } = this.page;
    const { records: words, cases } = texts.run;
    const choices = reasonsOf(run).map(({ code, count }) => ({
      value: code,
      label: words.option(cases[code] ?? code, format.number(count)),
    }));
    return selectField({
      id: 'reason',
      label: words.reason,
      value: this.reason,
      choices: [{ value: '', label: words.all }, ...choices],
      onChange: (value) => {
        this.reason = value;
      },
    });
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
    const { cause, fix } = caseOf(record, texts);
    return html`<tr role="row">
      <td role="cell">${
        record.customer_id === ''
          ? nothing
          : button({
              label: texts.customer.open(record.customer_id),
              kind: 'plain',
              onPress: () => actions.showCustomer(record.customer_id),
            })
      } <span class="quiet anywhere">${record.address}</span></td>
      <td role="cell">${words.actions[record.action] ?? record.action}</td>
      <td role="cell" class=${LOOKS[record.outcome] ?? ''}>${words.outcomes[record.outcome] ?? record.outcome}</td>
      <td role="cell">${cause}</td>
      <td role="cell">${fix}</td>
    </tr>`;
  }

  // asking

  get #path(): { department_id: string; run_id: string } {
    return { department_id: this.page.department, run_id: runItem(this.page.item ?? '').id };
  }

  get #filters(): { outcome?: Outcome; code?: string } {
    return {
      ...(this.outcome === '' ? {} : { outcome: this.outcome }),
      ...(this.reason === '' ? {} : { code: this.reason }),
    };
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

  /** One page of records. With filters the service may answer a page without any although there are more. */
  async #page(cursor = ''): Promise<{ items: RunRecord[]; next_cursor: string | null }> {
    let next: string | null = cursor;
    let items: RunRecord[] = [];
    for (let tries = 0; next !== null && items.length === 0 && tries < MOST_PAGES; tries += 1) {
      const query = { limit: AT_ONCE, ...this.#filters, ...(next === '' ? {} : { cursor: next }) };
      const page: { items: RunRecord[]; next_cursor: string | null } = await this.page.client.ask((calls) =>
        calls.GET('/departments/{department_id}/syncs/{run_id}/records', { params: { path: this.#path, query } }),
      );
      [items, next] = [page.items, page.next_cursor];
    }
    return { items, next_cursor: next };
  }

  async #more(cursor: string): Promise<void> {
    const askedFor = this.#askedFor;
    const next = await this.perform('more', () => this.#page(cursor));
    if (next === undefined || askedFor !== this.#askedFor) return;
    const before = dataOf(this.#shown.state)?.records.length ?? 0;
    this.#shown.change((shown) => ({
      ...shown,
      records: [...shown.records, ...next.items],
      next_cursor: next.next_cursor,
    }));
    if (next.next_cursor === null) await this.focusOn(`tbody tr:nth-child(n+${before + 1}) button`);
  }

  async #doIt(preview: Run): Promise<void> {
    const { client, department, actions } = this.page;
    const run = await this.perform('do-it', () => startSync(client, department, preview.type, false));
    if (run === undefined) return;
    actions.follow(run);
    actions.show('sync');
  }

  async #csv(run: Run): Promise<void> {
    const { department, client } = this.page;
    const filters = new URLSearchParams(this.#filters);
    const path = `/departments/${encodeURIComponent(department)}/syncs/${run.id}/records?${filters}`;
    const file = await this.perform('csv', () => readCsv(client, path));
    if (file !== undefined) download(file, `sync-${run.id}.csv`);
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'pbm-run-detail': RunDetailPanel;
  }
}
