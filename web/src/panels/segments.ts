// Segments: the list with its rules in words; create from nothing or from a template, edit, delete.

import { css, html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { state } from 'lit/decorators.js';
import type { PanelData, Segment, SegmentFields, SegmentTemplate } from '../api/types.ts';
import { fromAnswer, inWords } from '../model/rules.ts';
import { dataOf, LOADING, type State } from '../model/state.ts';
import { Panel } from '../ui/base.ts';
import { button } from '../ui/button.ts';
import { element } from '../ui/define.ts';
import { icon } from '../ui/icons.ts';
import { Loader } from '../ui/loader.ts';
import { notice } from '../ui/notice.ts';
import './segment-editor.ts';
import type { Draft } from './segment-editor.ts';

interface Builder {
  readonly fields: SegmentFields;
  readonly templates: readonly SegmentTemplate[];
}

@element('pbm-segments')
export class SegmentsPanel extends Panel<PanelData> {
  static override styles = [
    ...Panel.styles,
    css`
      :host { --reserved: 12em; }
      ul { list-style: none; padding: 0; margin: 0; display: grid; gap: 0.75em; }
      li { display: flex; flex-wrap: wrap; gap: 0.5em 1em; justify-content: space-between; padding-block: 0.75em; border-block-end: 1px solid var(--_line); }
      summary { cursor: pointer; padding-block: 0.5em; color: var(--_accent); font-weight: 600; }
      h4 { margin: 0; overflow-wrap: anywhere; }
      .what { display: grid; gap: 0.25em; min-inline-size: 0; flex: 1 1 18em; }
    `,
  ];

  @state() private draft: Draft | null = null;
  readonly #builder = new Loader<Builder>(this, (failure) => this.page.actions.failed(failure));
  #askedFor = '';

  protected override get heading(): string {
    return this.page.texts.segments.title;
  }

  protected override get data(): State<PanelData> {
    const { state } = this.page;
    // Rules are only told in words once the fields are known.
    const waits = dataOf(state) !== undefined && this.#builder.state.is === 'loading';
    return waits ? LOADING : state;
  }

  protected override willUpdate(changed: PropertyValues): void {
    super.willUpdate(changed);
    if (this.page === undefined || this.page.department === this.#askedFor) return;
    this.#askedFor = this.page.department;
    void this.#loadBuilder();
  }

  protected override reload(): void {
    super.reload();
    void this.#loadBuilder();
  }

  /** The editor knows whether something was typed. */
  override async mayLeave(): Promise<boolean> {
    const editor = this.renderRoot.querySelector('pbm-segment-editor');
    return editor === null || editor.mayLeave();
  }

  async #loadBuilder(): Promise<void> {
    const { client, department } = this.page;
    const query = { department_id: department };
    await this.#builder.load(async () => {
      const fields = await client.ask((calls) => calls.GET('/segment-fields', { params: { query } }));
      const templates = await client.ask((calls) => calls.GET('/segment-templates', { params: { query } }));
      return { fields, templates: templates.items };
    });
  }

  protected override draw(data: PanelData): TemplateResult {
    const words = this.page.texts.segments;
    const builder = dataOf(this.#builder.state);
    // Whatever others do meanwhile, what somebody is editing stays.
    if (this.draft !== null && builder !== undefined) return this.#editor(this.draft, builder.fields);
    if (data.audience === null) return html`<p class="quiet">${words.noAudience}</p>`;
    return html`<p class="quiet">${words.intro}</p>
      ${this.mayChange ? nothing : html`<p class="quiet">${this.page.texts.common.readOnly}</p>`}
      ${builder === undefined ? this.#builderFailure() : this.mayChange ? this.#createButton() : nothing}
      ${data.segments.length === 0 ? this.#none(builder) : this.#list(data.segments, builder)}`;
  }

  /** Why there is no builder, and no rule in words. */
  #builderFailure(): TemplateResult | typeof nothing {
    const { state } = this.#builder;
    if (state.is !== 'failed') return nothing;
    return notice({
      kind: 'bad',
      alert: true,
      ...this.failureWords(state.failure),
      action: { label: this.page.texts.common.tryAgain, icon: 'again', onPress: () => void this.#loadBuilder() },
    });
  }

  #createButton(): TemplateResult {
    return html`<div class="row">${button({
      id: 'create',
      label: this.page.texts.segments.create,
      icon: 'plus',
      kind: 'primary',
      onPress: () => this.#open(null),
    })}</div>`;
  }

  #editor(draft: Draft, fields: SegmentFields): TemplateResult {
    return html`<pbm-segment-editor
      .page=${this.page}
      .fields=${fields}
      .draft=${draft}
      @saved=${(event: CustomEvent<Segment>) => void this.#saved(event.detail)}
      @closed=${() => void this.#close()}
    ></pbm-segment-editor>`;
  }

  #templates(builder: Builder): TemplateResult {
    return html`<div class="row">${builder.templates.map((one) =>
      button({
        label: one.name,
        onPress: () => {
          this.draft = { id: null, version: null, name: one.name, rules: one.rules.map(fromAnswer) };
        },
      }),
    )}</div>`;
  }

  #none(builder: Builder | undefined): TemplateResult | typeof nothing {
    const words = this.page.texts.segments;
    if (!this.mayChange) return html`<p>${words.none}</p>`;
    if (builder === undefined) return nothing;
    return html`<p>${words.empty}</p>${this.#templates(builder)}`;
  }

  #list(segments: readonly Segment[], builder: Builder | undefined): TemplateResult {
    return html`${
      this.mayChange && builder !== undefined
        ? html`<details>
            <summary>${this.page.texts.segments.templates}</summary>
            ${this.#templates(builder)}
          </details>`
        : nothing
    }
      <ul>${segments.map((one) => this.#segment(one, builder?.fields))}</ul>`;
  }

  #segment(one: Segment, fields: SegmentFields | undefined): TemplateResult {
    const { texts, format } = this.page;
    const words = texts.segments;
    const counts = [
      one.customer_count === null ? words.notCounted : format.count(one.customer_count, words.customers),
      one.tagged_count === null ? '' : words.tagged(format.number(one.tagged_count)),
      one.reachable_count === null ? '' : words.reachable(format.number(one.reachable_count)),
    ].filter((part) => part !== '');
    return html`<li>
      <div class="what">
        <h4>${one.name}</h4>
        <p>${one.rules.map((rule) => inWords(fields, fromAnswer(rule))).join(' · ')}</p>
        <p class="quiet">${counts.join(' · ')}</p>
        <p class=${one.sync_state === 'error' ? 'bad' : 'quiet'}>
          ${one.sync_state === 'error' ? icon('cross') : nothing} ${words.states[one.sync_state]}
          ${one.code === null ? '' : (words.faults[one.code] ?? one.message)}
        </p>
        ${one.difference.map((part) => html`<p class="quiet">${format.number(part.count)}: ${words.differences[part.code] ?? part.explanation}</p>`)}
      </div>
      ${
        this.mayChange
          ? html`<div class="row">
              ${
                fields === undefined
                  ? nothing
                  : button({
                      id: `edit-${one.id}`,
                      icon: 'pencil',
                      iconOnly: true,
                      label: words.edit(one.name),
                      onPress: () => this.#open(one),
                    })
              }
              ${button({
                icon: 'bin',
                iconOnly: true,
                label: words.delete(one.name),
                busy: this.doing === `delete ${one.id}`,
                onPress: () => void this.#delete(one),
              })}
            </div>`
          : nothing
      }
    </li>`;
  }

  #open(segment: Segment | null): void {
    this.draft =
      segment === null
        ? { id: null, version: null, name: '', rules: [] }
        : { id: segment.id, version: segment.version, name: segment.name, rules: segment.rules.map(fromAnswer) };
  }

  async #close(): Promise<void> {
    const from = this.draft?.id;
    this.draft = null;
    await this.focusOn(from ? `#edit-${from}` : '#create');
  }

  /** What was saved is in the list at once; its counts come with the next reading. */
  async #saved(segment: Segment): Promise<void> {
    const { actions, texts } = this.page;
    const isNew = this.draft?.id === null;
    const segments = dataOf(this.page.state)?.segments ?? [];
    await actions.put({
      segments: isNew ? [...segments, segment] : segments.map((one) => (one.id === segment.id ? segment : one)),
    });
    this.draft = null;
    actions.tell('pbm-segment-saved', { id: segment.id });
    this.announce(texts.segments.saved(segment.name));
    await this.focusOn(`#edit-${segment.id}`);
    await actions.refresh();
  }

  async #delete(segment: Segment): Promise<void> {
    const { client, department, actions, texts } = this.page;
    const words = texts.segments;
    const yes = await this.confirm({
      title: words.deleteTitle(segment.name),
      body: words.deleteBody,
      yes: words.deleteYes,
      no: words.deleteNo,
      danger: true,
    });
    if (!yes) return;
    const path = { department_id: department, segment_id: segment.id };
    const done = await this.perform(`delete ${segment.id}`, async () => {
      await client.ask((calls) =>
        calls.DELETE('/departments/{department_id}/segments/{segment_id}', { params: { path } }),
      );
      return true;
    });
    if (done === undefined) return;
    const segments = dataOf(this.page.state)?.segments ?? [];
    await actions.put({ segments: segments.filter(({ id }) => id !== segment.id) });
    actions.tell('pbm-segment-deleted', { id: segment.id });
    this.announce(words.deleted(segment.name));
    await this.focusOn('#heading');
    await actions.refresh();
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'pbm-segments': SegmentsPanel;
  }
}
