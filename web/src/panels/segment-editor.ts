// The Segment Builder: name, rules, live preview, save. Nothing typed is lost by an error or an Escape.

import { css, html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { property, state } from 'lit/decorators.js';
import { asFailure, type Failure } from '../api/failure.ts';
import { Latest } from '../api/latest.ts';
import type { components } from '../api/schema.d.ts';
import type { Segment, SegmentFields, SegmentPreview } from '../api/types.ts';
import {
  areComplete,
  fieldOf,
  firstRule,
  fromAnswer,
  inWords,
  type Rule,
  toSend,
  valueType,
  withField,
  withOperator,
} from '../model/rules.ts';
import { ready, type State } from '../model/state.ts';
import { fieldWordsOf } from '../text/said.ts';
import { Panel } from '../ui/base.ts';
import { button } from '../ui/button.ts';
import { element } from '../ui/define.ts';
import { focusFirstError, selectField, textField } from '../ui/field.ts';
import { notice } from '../ui/notice.ts';

export interface Draft {
  readonly id: string | null;
  readonly version: number | null;
  readonly name: string;
  readonly rules: readonly Rule[];
}

interface Question {
  readonly rules: readonly Rule[];
  readonly perRule: boolean;
}

type Body = components['schemas']['PreviewBody'];

// How long nobody may have typed before the count is asked for, and before each rule alone is counted too.
const COUNT_AFTER_MS = 400;
const PER_RULE_AFTER_MS = 1500;
// Of those who would enter or leave so many are named.
const MOST_NAMED = 3;

@element('pbm-segment-editor')
export class SegmentEditor extends Panel<SegmentFields> {
  static override styles = [
    ...Panel.styles,
    css`
      section { border: 0; padding: 0; }
      .rule { display: grid; gap: 0.75em; grid-template-columns: repeat(3, minmax(0, 1fr)) auto; align-items: start; padding-block: 0.75em; border-block-end: 1px solid var(--_line); }
      /* Beside the control, not beside its label. */
      .rule .take-away { grid-column: 4; padding-block-start: 1.5em; }
      @container (max-width: 38em) {
        .rule { grid-template-columns: minmax(0, 1fr); }
        .rule .take-away { grid-column: 1; justify-self: end; padding-block-start: 0; }
      }
      .preview { min-block-size: 6em; }
      .preview[aria-busy='true'] .answer { color: var(--_quiet); }
      h4 { margin: 0; }
      ul { margin: 0; padding-inline-start: 1.25em; }
    `,
  ];

  @property({ attribute: false }) fields!: SegmentFields;
  @property({ attribute: false }) draft!: Draft;
  @state() private name = '';
  @state() private rules: readonly Rule[] = [];
  @state() private errors: Readonly<Record<string, string>> = {};
  @state() private preview: SegmentPreview | null = null;
  @state() private previewFailure: Failure | null = null;
  @state() private counting = false;
  @state() private theirs: Segment | null = null;
  #version: number | null = null;
  #begun = false;
  #countTimer: ReturnType<typeof setTimeout> | undefined;
  #perRuleTimer: ReturnType<typeof setTimeout> | undefined;
  readonly #latest = new Latest<Question, SegmentPreview>({
    ask: (question) => this.#count(question),
    tell: (answer, { perRule }) => {
      this.preview = perRule ? answer : { ...answer, per_rule: null };
      this.previewFailure = null;
      this.counting = false;
    },
    fail: (error) => {
      this.counting = false;
      const failure = asFailure(error);
      if (failure.code !== 'broken-off') this.#previewFailed(failure);
    },
  });

  protected override get heading(): string {
    const words = this.page.texts.segments.editor;
    return this.draft.id === null ? words.createTitle : words.editTitle;
  }

  protected override get data(): State<SegmentFields> {
    return ready(this.fields);
  }

  protected override willUpdate(changed: PropertyValues): void {
    super.willUpdate(changed);
    if (this.#begun || this.page === undefined || this.draft === undefined) return;
    this.#begun = true;
    this.name = this.draft.name;
    this.rules = this.draft.rules.length > 0 ? this.draft.rules : [firstRule(this.fields)];
    this.#version = this.draft.version;
    this.#askSoon();
  }

  protected override firstUpdated(): void {
    void this.focusOn('#name');
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearTimeout(this.#countTimer);
    clearTimeout(this.#perRuleTimer);
    this.#latest.stop();
  }

  protected override draw(fields: SegmentFields): TemplateResult {
    const words = this.page.texts.segments.editor;
    const submit = (event: Event): void => {
      event.preventDefault();
      void this.#save();
    };
    return html`<form class="stack" novalidate @submit=${submit}>
      ${this.theirs === null ? nothing : this.#conflict(this.theirs)}
      ${textField({
        id: 'name',
        label: words.name,
        hint: words.nameHint,
        value: this.name,
        error: this.errors.name,
        required: true,
        maxLength: 100,
        onInput: (value) => {
          this.name = value;
          this.errors = { ...this.errors, name: '' };
        },
      })}
      <h4>${words.rules}</h4>
      <p class="quiet">${words.allOf}</p>
      ${this.rules.map((rule, index) => this.#rule(fields, rule, index))}
      ${this.errors.rules ? html`<p class="field-error" id="rules-error" tabindex="-1">${this.errors.rules}</p>` : nothing}
      <div class="row">
        ${
          this.rules.length < fields.max_rules
            ? button({ id: 'add', label: words.add, icon: 'plus', onPress: () => this.#add() })
            : html`<span class="quiet">${words.most(this.page.format.number(fields.max_rules))}</span>`
        }
        ${button({ label: words.preview, busy: this.counting, onPress: () => this.#askNow(true) })}
      </div>
      ${this.#previewBox(fields)}
      <div class="row">
        ${button({
          label: words.save,
          kind: 'primary',
          type: 'submit',
          busy: this.doing === 'save',
          onPress: () => undefined,
        })}
        ${button({ label: words.cancel, kind: 'plain', onPress: () => void this.#cancel() })}
      </div>
    </form>`;
  }

  #rule(fields: SegmentFields, rule: Rule, index: number): TemplateResult {
    const { texts, format } = this.page;
    const words = texts.segments.editor;
    const number = format.number(index + 1);
    const field = fieldOf(fields, rule);
    const key = `rules[${index}]`;
    return html`<fieldset>
      <legend>${words.rule(number)}</legend>
      <div class="rule">
        ${selectField({
          id: `field-${index}`,
          label: words.field,
          value: rule.field,
          ...(field?.hint ? { hint: field.hint } : {}),
          error: this.errors[`${key}.field`],
          choices: fields.fields.map((one) => ({ value: one.field, label: one.label })),
          onChange: (value) => this.#change(index, withField(fields, rule, value)),
        })}
        ${selectField({
          id: `operator-${index}`,
          label: words.operator,
          value: rule.operator,
          error: this.errors[`${key}.operator`],
          choices: (field?.operators ?? []).map((one) => ({ value: one.operator, label: one.label })),
          onChange: (value) => this.#change(index, withOperator(rule, value)),
        })}
        ${this.#value(fields, rule, index)}
        ${
          this.rules.length > 1
            ? html`<span class="take-away">${button({
                icon: 'bin',
                iconOnly: true,
                label: words.removeRule(number),
                onPress: () => this.#takeAway(index),
              })}</span>`
            : nothing
        }
      </div>
    </fieldset>`;
  }

  #value(fields: SegmentFields, rule: Rule, index: number): TemplateResult | typeof nothing {
    const type = valueType(fields, rule);
    if (type === 'none') return nothing;
    const words = this.page.texts.segments.editor;
    const choices = fieldOf(fields, rule)?.choices ?? [];
    const error = this.errors[`rules[${index}].value`];
    const id = `value-${index}`;
    if (rule.field === 'inactive' && choices.length > 0) {
      return selectField({
        id,
        label: words.value,
        value: rule.value,
        error,
        choices: [{ value: '', label: '' }, ...choices],
        onChange: (value) => this.#change(index, { ...rule, value }),
      });
    }
    const list = choices.length > 0 ? `choices-${index}` : undefined;
    return html`<div>
      ${textField({
        id,
        label: words.value,
        value: rule.value,
        error,
        required: true,
        ...(list ? { list } : {}),
        ...(type === 'whole_number' ? { inputMode: 'numeric' as const } : {}),
        ...(type === 'decimal' || type === 'number' ? { inputMode: 'decimal' as const } : {}),
        onInput: (value) => this.#change(index, { ...rule, value }),
      })}
      ${
        list
          ? html`<datalist id=${list}>${choices.map((one) => html`<option value=${one.value}>${one.label}</option>`)}</datalist>`
          : nothing
      }
    </div>`;
  }

  #previewBox(fields: SegmentFields): TemplateResult {
    const words = this.page.texts.segments.editor;
    return html`<div class="preview raised stack" role="group" aria-label=${words.preview} aria-busy=${this.counting ? 'true' : 'false'}>
      ${this.counting ? html`<p class="quiet">${words.previewing}</p>` : nothing}
      ${this.previewFailure === null ? nothing : notice({ kind: 'warn', ...this.failureWords(this.previewFailure) })}
      ${
        this.preview === null
          ? html`<p class="quiet">${areComplete(fields, this.rules) ? nothing : words.incomplete}</p>`
          : this.#answer(fields, this.preview)
      }
    </div>`;
  }

  #answer(fields: SegmentFields, preview: SegmentPreview): TemplateResult {
    const { texts, format } = this.page;
    const words = texts.segments.editor;
    const n = (value: number): string => format.number(value);
    const named = preview.sample.map(called);
    return html`<div class="answer stack">
      <p class="strong">${words.counted(n(preview.count), n(preview.total))} · ${words.canBeMailed(n(preview.reachable_count))}</p>
      ${
        preview.entering && preview.leaving
          ? html`<p>${words.entering(n(preview.entering.count), this.#names(preview.entering))} · ${words.leaving(n(preview.leaving.count), this.#names(preview.leaving))}</p>`
          : nothing
      }
      ${
        named.length > 0
          ? html`<h4>${words.sample}</h4><ul>${named.map((name) => html`<li>${name}</li>`)}</ul>`
          : nothing
      }
      ${
        preview.per_rule
          ? html`<h4>${words.perRule}</h4>
              <ul>${preview.per_rule.map(
                (one) => html`<li>${inWords(fields, fromAnswer(one))}: ${n(one.count)}</li>`,
              )}</ul>`
          : nothing
      }
    </div>`;
  }

  #names({ count, sample }: NonNullable<SegmentPreview['entering']>): string {
    const names = sample.slice(0, MOST_NAMED).map(called).join(', ');
    return count > MOST_NAMED && names !== '' ? this.page.texts.segments.editor.andOthers(names) : names;
  }

  #conflict(theirs: Segment): TemplateResult {
    const words = this.page.texts.segments.editor.conflict;
    const told = (name: string, rules: readonly Rule[]): string =>
      `${name}: ${rules.map((rule) => inWords(this.fields, rule)).join(' · ')}`;
    return html`<div class="notice warn" role="alert">
      <div>
        <p class="words strong">${words.words}</p>
        <p>${words.theirs}: ${told(theirs.name, theirs.rules.map(fromAnswer))}</p>
        <p>${words.yours}: ${told(this.name, this.rules)}</p>
        <div class="row">
          ${button({ label: words.useTheirs, onPress: () => this.#useTheirs(theirs) })}
          ${button({
            label: words.keepYours,
            onPress: () => {
              this.#version = theirs.version;
              this.theirs = null;
              void this.#save();
            },
          })}
        </div>
      </div>
    </div>`;
  }

  // editing

  #change(index: number, rule: Rule): void {
    this.rules = this.rules.map((one, place) => (place === index ? rule : one));
    const key = `rules[${index}]`;
    this.errors = Object.fromEntries(Object.entries(this.errors).filter(([name]) => !name.startsWith(key)));
    this.#askSoon();
  }

  #add(): void {
    this.rules = [...this.rules, firstRule(this.fields)];
    void this.focusOn(`#field-${this.rules.length - 1}`);
  }

  #takeAway(index: number): void {
    this.rules = this.rules.filter((_, place) => place !== index);
    this.errors = {};
    this.#askSoon();
    void this.focusOn(`#field-${Math.min(index, this.rules.length - 1)}`);
  }

  #useTheirs(theirs: Segment): void {
    this.name = theirs.name;
    this.rules = theirs.rules.map(fromAnswer);
    this.#version = theirs.version;
    this.theirs = null;
    this.problem = null;
    this.#askSoon();
    void this.focusOn('#name');
  }

  protected override get hasDraft(): boolean {
    const rules = this.draft.rules.length > 0 ? this.draft.rules : [firstRule(this.fields)];
    return this.name !== this.draft.name || JSON.stringify(this.rules) !== JSON.stringify(rules);
  }

  async #cancel(): Promise<void> {
    if (!(await this.mayLeave())) return;
    this.dispatchEvent(new CustomEvent('closed'));
  }

  // previewing

  #askSoon(): void {
    clearTimeout(this.#countTimer);
    clearTimeout(this.#perRuleTimer);
    if (!areComplete(this.fields, this.rules)) return;
    this.#countTimer = setTimeout(() => this.#askNow(false), COUNT_AFTER_MS);
    this.#perRuleTimer = setTimeout(() => this.#askNow(true), PER_RULE_AFTER_MS);
  }

  #askNow(perRule: boolean): void {
    if (!areComplete(this.fields, this.rules)) {
      this.#checkLocally();
      return;
    }
    this.counting = true;
    this.#latest.ask({ rules: this.rules, perRule });
  }

  #count({ rules, perRule }: Question): Promise<SegmentPreview> {
    const { client, department } = this.page;
    const body = {
      rules: rules.map((rule) => toSend(this.fields, rule)),
      per_rule: perRule,
      ...(this.draft.id === null ? {} : { segment_id: this.draft.id }),
    } as Body;
    return client.ask((calls) =>
      calls.POST('/departments/{department_id}/segments/preview', {
        params: { path: { department_id: department } },
        body,
      }),
    );
  }

  #previewFailed(failure: Failure): void {
    const named = this.#wordsByField(failure);
    this.errors = { ...this.errors, ...named };
    this.previewFailure = Object.keys(named).length > 0 ? null : failure;
    this.page.actions.failed(failure);
  }

  // saving

  #checkLocally(): boolean {
    const words = this.page.texts.segments.editor;
    const errors: Record<string, string> = {};
    this.rules.forEach((rule, index) => {
      const wants = valueType(this.fields, rule) !== 'none';
      if (wants && rule.value.trim() === '') errors[`rules[${index}].value`] = words.valueMissing;
    });
    this.errors = errors;
    return Object.keys(errors).length === 0;
  }

  async #save(): Promise<void> {
    if (this.doing !== null) return;
    const complete = this.#checkLocally();
    if (this.name.trim() === '') {
      this.errors = { ...this.errors, name: this.page.texts.segments.editor.nameMissing };
    }
    if (!complete || this.errors.name) return this.#showErrors();
    const saved = await this.perform('save', () => this.#send());
    if (saved !== undefined) {
      this.dispatchEvent(new CustomEvent('saved', { detail: saved }));
      return;
    }
    const failure = this.problem;
    if (failure === null) return;
    const theirs = failure.code === 'changed-meanwhile' ? failure.more.segment : undefined;
    if (theirs !== undefined) {
      this.theirs = theirs as Segment;
      this.problem = null;
      return;
    }
    this.errors = this.#wordsByField(failure);
    if (Object.keys(this.errors).length > 0) {
      this.problem = null;
      await this.#showErrors();
    }
  }

  #send(): Promise<Segment> {
    const { client, department } = this.page;
    const content = {
      name: this.name.trim(),
      rules: this.rules.map((rule) => toSend(this.fields, rule)) as Body['rules'],
    };
    const { id } = this.draft;
    if (id === null) {
      return client.ask((calls) =>
        calls.POST('/departments/{department_id}/segments', {
          params: { path: { department_id: department } },
          body: content,
        }),
      );
    }
    return client.ask((calls) =>
      calls.PUT('/departments/{department_id}/segments/{segment_id}', {
        params: { path: { department_id: department, segment_id: id } },
        body: { ...content, version: this.#version },
      }),
    );
  }

  #wordsByField(failure: Failure): Record<string, string> {
    return fieldWordsOf(failure, this.page.texts, this.page.format);
  }

  async #showErrors(): Promise<void> {
    await this.updateComplete;
    if (!focusFirstError(this.renderRoot)) this.renderRoot.querySelector<HTMLElement>('#rules-error')?.focus();
  }
}

function called({ id, email, company_name, first_name, last_name }: SegmentPreview['sample'][number]): string {
  return company_name || [first_name, last_name].filter(Boolean).join(' ') || email || id;
}

declare global {
  interface HTMLElementTagNameMap {
    'pbm-segment-editor': SegmentEditor;
  }
}
