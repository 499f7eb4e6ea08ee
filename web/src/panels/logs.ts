// Sync Logs: the guide's five columns, filters, older entries.

import { css, html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { state } from 'lit/decorators.js';
import { download, readCsv } from '../api/csv.ts';
import type { LogEntry } from '../api/types.ts';
import { areTurnedRound, type Days, type Found, readAgain, spanOf } from '../model/logs.ts';
import { newerRun } from '../model/run.ts';
import { dataOf, type State } from '../model/state.ts';
import { messageOf } from '../text/said.ts';
import { Panel } from '../ui/base.ts';
import { button } from '../ui/button.ts';
import { element } from '../ui/define.ts';
import { selectField, textField } from '../ui/field.ts';
import { type Icon, icon } from '../ui/icons.ts';
import { Loader } from '../ui/loader.ts';
import { exactMoment } from '../ui/moment.ts';

interface Choices {
  readonly direction: '' | 'push' | 'pull';
  readonly type: '' | 'incremental' | 'full';
  readonly status: '' | 'success' | 'error' | 'skipped';
  readonly trigger: '' | LogEntry['trigger'];
}

type Filters = Choices & Days;

const ALL: Filters = { direction: '', type: '', status: '', trigger: '', first: '', last: '' };
const SIGNS: Readonly<Record<LogEntry['status'], [Icon, string]>> = {
  success: ['check', 'good'],
  error: ['cross', 'bad'],
  skipped: ['skip', ''],
};

@element('pbm-logs')
export class LogsPanel extends Panel<Found> {
  static override styles = [
    ...Panel.styles,
    css`
      :host { --reserved: 20em; }
      .filters { display: flex; flex-wrap: wrap; gap: 0.75em; align-items: end; }
      .filters .field { flex: 1 1 10em; }
      td:first-child { min-inline-size: 8em; }
      @container (max-width: 38em) {
        table, tbody, tr, td { display: block; }
        thead { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%); }
        tr { border-block-end: 1px solid var(--_line); padding-block: 0.5em; }
        td { border: 0; padding: 0.15em 0; }
      }
    `,
  ];

  @state() private filters: Filters = ALL;
  readonly #found = new Loader<Found>(this, (failure) => this.page.actions.failed(failure));
  #askedFor = '';
  /** The department and filters whose entries are shown, or asked for. */
  #shown = '';

  protected override get heading(): string {
    return this.page.texts.logs.title;
  }

  protected override get data(): State<Found> {
    return this.#found.state;
  }

  protected override willUpdate(changed: PropertyValues): void {
    super.willUpdate(changed);
    if (this.page === undefined) return;
    const { department, state } = this.page;
    if (state.is === 'loading') return; // else all is asked for again once the newest run is known
    // A run that ended has written an entry.
    const run = newerRun(this.page.run, dataOf(state)?.newest_run ?? null);
    const list = JSON.stringify([department, this.#chosen]);
    const wanted = JSON.stringify([list, run?.id, run?.status]);
    if (wanted === this.#askedFor) return;
    this.#askedFor = wanted;
    void this.#load(list);
  }

  protected override pageRead(): void {
    this.#askedFor = '';
  }

  protected override reload(): void {
    void this.#load(this.#shown);
  }

  protected override draw(found: Found): TemplateResult {
    const words = this.page.texts.logs;
    const filtered = Object.values(this.filters).some((value) => value !== '');
    return html`${this.#filterFields()}
      ${
        found.items.length === 0
          ? html`<p class="quiet">${filtered ? words.noHit : words.empty}</p>
              ${
                filtered
                  ? html`<div class="row">${button({ label: words.clear, onPress: () => this.#filter(ALL) })}</div>`
                  : nothing
              }`
          : this.#table(found.items)
      }
      ${
        found.next_cursor === null
          ? nothing
          : html`<div class="row">${button({
              label: words.more,
              busy: this.doing === 'more',
              onPress: () => void this.#more(found),
            })}</div>`
      }`;
  }

  #filterFields(): TemplateResult {
    const words = this.page.texts.logs;
    const all = { value: '', label: words.filters.all };
    const choice = (name: keyof Choices, of: Readonly<Record<string, string>>): TemplateResult =>
      selectField({
        id: name,
        label: words.filters[name],
        value: this.filters[name],
        choices: [all, ...Object.entries(of).map(([value, label]) => ({ value, label }))],
        onChange: (value) => this.#filter({ ...this.filters, [name]: value } as Filters),
      });
    const day = (name: keyof Days, error?: string): TemplateResult =>
      textField({
        id: name,
        type: 'date',
        label: words.filters[name],
        value: this.filters[name],
        error,
        onInput: (value) => this.#filter({ ...this.filters, [name]: value }),
      });
    return html`<div class="filters">
      ${choice('direction', words.directions)} ${choice('type', words.types)} ${choice('status', words.statuses)}
      ${choice('trigger', words.triggers)} ${day('first')}
      ${day('last', areTurnedRound(this.filters) ? words.turnedRound : '')}
      ${button({ label: words.csv, icon: 'download', busy: this.doing === 'csv', onPress: () => void this.#csv() })}
    </div>`;
  }

  #table(items: readonly LogEntry[]): TemplateResult {
    const { columns, caption } = this.page.texts.logs;
    return html`<div class="sideways" role="group" aria-label=${caption} tabindex="0">
      <table role="table" aria-label=${caption}>
        <thead role="rowgroup">
          <tr role="row">
            ${Object.values(columns).map((name) => html`<th role="columnheader" scope="col">${name}</th>`)}
          </tr>
        </thead>
        <tbody role="rowgroup">${items.map((entry) => this.#row(entry))}</tbody>
      </table>
    </div>`;
  }

  #row(entry: LogEntry): TemplateResult {
    const { texts, format } = this.page;
    const words = texts.logs;
    const [sign, look] = SIGNS[entry.status];
    return html`<tr role="row">
      <td role="cell">${exactMoment(entry.date, format)}</td>
      <td role="cell">${words.directions[entry.direction]}</td>
      <td role="cell">${words.types[entry.type]} <span class="quiet">${words.triggers[entry.trigger]}</span></td>
      <td role="cell" class=${look}>${icon(sign)} ${words.statuses[entry.status]}${
        entry.cancelled ? html` · ${words.cancelled}` : nothing
      }</td>
      <td role="cell">${messageOf(entry, texts, format)} ${entry.run_id === null ? nothing : this.#opener(entry.run_id, entry)}</td>
    </tr>`;
  }

  #opener(run: string, entry: LogEntry): TemplateResult {
    const { texts, format, actions } = this.page;
    return button({
      label: texts.logs.open(format.moment(entry.date)),
      kind: 'plain',
      onPress: () => actions.show('sync', run),
    });
  }

  #filter(filters: Filters): void {
    this.filters = filters;
  }

  /** Read out how many there are when somebody chose; not when the same list is only read again. */
  async #load(list: string): Promise<void> {
    const before = list === this.#shown ? dataOf(this.#found.state) : undefined;
    this.#shown = list;
    const found = await this.#found.load(async () => readAgain(before, await this.#ask()));
    const { texts, format } = this.page;
    if (found !== undefined && before === undefined)
      this.announce(format.count(found.items.length, texts.logs.entries));
  }

  get #chosen(): { [Name in keyof Choices]?: Exclude<Choices[Name], ''> } & ReturnType<typeof spanOf> {
    const { first, last, ...choices } = this.filters;
    const chosen = Object.entries(choices).filter(([, value]) => value !== '');
    return { ...Object.fromEntries(chosen), ...spanOf({ first, last }) };
  }

  async #csv(): Promise<void> {
    const { client, department } = this.page;
    const path = `/departments/${encodeURIComponent(department)}/logs?${new URLSearchParams(this.#chosen)}`;
    const file = await this.perform('csv', () => readCsv(client, path));
    if (file !== undefined) download(file, 'sync-logs.csv');
  }

  #ask(cursor?: string): Promise<Found> {
    const { client, department } = this.page;
    const query = { limit: 25, ...this.#chosen, ...(cursor ? { cursor } : {}) };
    // Without an Accept header of its own the call answers JSON, never the list as CSV.
    return client.ask((calls) =>
      calls.GET('/departments/{department_id}/logs', { params: { path: { department_id: department }, query } }),
    ) as Promise<Found>;
  }

  async #more(found: Found): Promise<void> {
    const next = await this.perform('more', () => this.#ask(found.next_cursor ?? undefined));
    if (next === undefined) return;
    this.#found.put({ items: [...found.items, ...next.items], next_cursor: next.next_cursor });
    if (next.next_cursor === null) await this.focusOn(`tbody tr:nth-child(n+${found.items.length + 1}) button`);
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'pbm-logs': LogsPanel;
  }
}
