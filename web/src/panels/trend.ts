// Trend: members and opt-outs of the last days as a line, and as a table. Nothing while there is no line to draw.

import { css, html, type PropertyValues, type TemplateResult } from 'lit';
import type { History } from '../api/types.ts';
import { dataOf, type State } from '../model/state.ts';
import { type Day, trendOf } from '../model/trend.ts';
import { Panel } from '../ui/base.ts';
import { element } from '../ui/define.ts';
import { Loader } from '../ui/loader.ts';
import { trendLine } from '../ui/trend.ts';

const DAYS = 90;

@element('pbm-trend')
export class TrendPanel extends Panel<History> {
  static override styles = [
    ...Panel.styles,
    css`
      :host { --reserved: 16em; }
      dl { display: flex; flex-wrap: wrap; gap: 0.75em 2em; }
      dt { font-size: 0.875em; color: var(--_quiet); }
      dd { margin: 0; font-weight: 600; }
      .trend { display: block; inline-size: 100%; block-size: 10em; }
      .trend polyline { fill: none; stroke: var(--_accent); stroke-width: 2; }
      .trend .out { fill: var(--_warn); }
      summary { cursor: pointer; padding-block: 0.5em; color: var(--_accent); font-weight: 600; }
      @media (forced-colors: active) {
        .trend polyline { stroke: CanvasText; }
        .trend .out { fill: CanvasText; }
      }
    `,
  ];

  readonly #days = new Loader<History>(this, (failure) => this.page.actions.failed(failure));
  #askedFor = '';

  protected override get heading(): string {
    return this.page.texts.trend.title;
  }

  protected override get data(): State<History> {
    return this.#days.state;
  }

  protected override willUpdate(changed: PropertyValues): void {
    super.willUpdate(changed);
    if (this.page === undefined) return;
    const { department, state } = this.page;
    if (!this.#hasAudience || department === this.#askedFor) return;
    this.#askedFor = state.is === 'ready' ? department : '';
    void this.#load(true);
  }

  /** It stands last, so nothing jumps when it comes or stays away. */
  protected override updated(changed: PropertyValues): void {
    super.updated(changed);
    const days = dataOf(this.#days.state);
    const hasNothing = days !== undefined && trendOf(days.items) === null;
    this.toggleAttribute('waiting', !this.#hasAudience || hasNothing);
  }

  protected override pageRead(): void {
    if (this.#askedFor !== '') void this.#load(false);
  }

  protected override reload(): void {
    void this.#load(false);
  }

  protected override draw({ items }: History): TemplateResult {
    const trend = trendOf(items);
    const [first, last] = [items[0], items.at(-1)];
    if (trend === null || first === undefined || last === undefined) return html``;
    const { texts, format } = this.page;
    const words = texts.trend;
    return html`<p class="quiet">${words.between(format.day(first.date), format.day(last.date))}</p>
      ${this.#sums(items)} ${trendLine(trend)}
      <p class="quiet">${words.span(format.number(trend.least), format.number(trend.most))}</p>
      ${this.#table(items)}`;
  }

  #sums(items: readonly Day[]): TemplateResult {
    const { texts, format } = this.page;
    const words = texts.trend;
    const known = items.flatMap(({ members }) => (members === null ? [] : [members]));
    const [first, last] = [known[0] ?? 0, known.at(-1) ?? 0];
    const sum = (of: 'added' | 'opted_out'): string => format.number(items.reduce((all, day) => all + day[of], 0));
    return html`<dl>
      <div><dt>${words.members}</dt><dd>${words.from(format.number(first), format.number(last), format.signed(last - first))}</dd></div>
      <div><dt>${words.added}</dt><dd>${sum('added')}</dd></div>
      <div><dt>${words.optedOut}</dt><dd>${sum('opted_out')}</dd></div>
    </dl>`;
  }

  #table(items: readonly Day[]): TemplateResult {
    const { texts, format } = this.page;
    const { table, columns, unknown } = texts.trend;
    const number = (value: number | null): string => (value === null ? unknown : format.number(value));
    const [date, ...rest] = Object.values(columns);
    return html`<details>
      <summary>${table}</summary>
      <div class="sideways" role="group" aria-label=${table} tabindex="0">
        <table aria-label=${table}>
          <thead><tr>
            <th scope="col">${date}</th>
            ${rest.map((name) => html`<th scope="col" class="number">${name}</th>`)}
          </tr></thead>
          <tbody>${items.toReversed().map(
            (day) => html`<tr>
              <th scope="row">${format.day(day.date)}</th>
              ${[day.members, day.customers, day.added, day.opted_out].map(
                (value) => html`<td class="number">${number(value)}</td>`,
              )}
            </tr>`,
          )}</tbody>
        </table>
      </div>
    </details>`;
  }

  get #hasAudience(): boolean {
    const all = dataOf(this.page.state);
    return all !== undefined && all.audience !== null;
  }

  async #load(anew: boolean): Promise<void> {
    const { client, department } = this.page;
    const params = { path: { department_id: department }, query: { days: DAYS } };
    await this.#days.load(() => client.ask((calls) => calls.GET('/departments/{department_id}/history', { params })), {
      anew,
    });
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'pbm-trend': TrendPanel;
  }
}
