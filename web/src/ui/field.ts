// Labelled controls with hint and error. Label, control, hint and error lie in the root that calls these.

import { html, nothing, type TemplateResult } from 'lit';
import { ifDefined } from 'lit/directives/if-defined.js';
import { live } from 'lit/directives/live.js';
import { icon } from './icons.ts';

// Years have four digits: after them the next part of the date is typed.
const LAST_DAY = '9999-12-31';

interface FieldOptions {
  /** Unique in its root. */
  readonly id: string;
  readonly label: string;
  readonly value: string;
  readonly hint?: string;
  /** What is wrong with the value; empty or undefined: nothing. */
  readonly error?: string | undefined;
}

export interface TextFieldOptions extends FieldOptions {
  readonly onInput: (value: string, event: InputEvent) => void;
  readonly onChange?: (value: string) => void;
  readonly type?: 'text' | 'email' | 'search' | 'date';
  readonly inputMode?: 'text' | 'numeric' | 'decimal' | 'email';
  readonly autocomplete?: string;
  readonly required?: boolean;
  /** A `datalist` of the same root: offers, never a limit. */
  readonly list?: string;
  readonly maxLength?: number;
  /** Dots instead of letters, without the browser or anybody offering to keep it. */
  readonly secret?: boolean;
}

export interface SelectFieldOptions extends FieldOptions {
  readonly choices: readonly { readonly value: string; readonly label: string }[];
  readonly onChange: (value: string) => void;
}

export function textField(options: TextFieldOptions): TemplateResult {
  const { id, type = 'text' } = options;
  return html`<div class="field">
    <label for=${id}>${options.label}</label>
    <input
      id=${id}
      class=${options.secret ? 'secret' : ''}
      type=${type}
      .value=${live(options.value)}
      inputmode=${ifDefined(options.inputMode)}
      autocomplete=${ifDefined(options.secret ? 'off' : (options.autocomplete ?? 'off')) as 'off'}
      spellcheck=${options.secret ? 'false' : 'true'}
      autocapitalize=${ifDefined(options.secret ? 'off' : undefined)}
      list=${ifDefined(options.list)}
      maxlength=${ifDefined(options.maxLength)}
      max=${ifDefined(type === 'date' ? LAST_DAY : undefined)}
      aria-required=${ifDefined(options.required ? 'true' : undefined)}
      aria-invalid=${ifDefined(options.error ? 'true' : undefined)}
      aria-describedby=${ifDefined(describedBy(options))}
      @input=${(event: InputEvent) => options.onInput((event.target as HTMLInputElement).value, event)}
      @change=${(event: Event) => options.onChange?.((event.target as HTMLInputElement).value)}
      @keydown=${type === 'search' ? keepOnEscape : nothing}
    />
    ${remarks(options)}
  </div>`;
}

export function selectField(options: SelectFieldOptions): TemplateResult {
  const { id } = options;
  return html`<div class="field">
    <label for=${id}>${options.label}</label>
    <select
      id=${id}
      .value=${live(options.value)}
      aria-invalid=${ifDefined(options.error ? 'true' : undefined)}
      aria-describedby=${ifDefined(describedBy(options))}
      @change=${(event: Event) => options.onChange((event.target as HTMLSelectElement).value)}
    >
      ${options.choices.map(
        ({ value, label }) => html`<option value=${value} ?selected=${value === options.value}>${label}</option>`,
      )}
    </select>
    ${remarks(options)}
  </div>`;
}

/** The first control of a root that is marked as wrong gets the focus; whether there is one. Call it once they are drawn. */
export function focusFirstError(root: ParentNode): boolean {
  const found = root.querySelector<HTMLElement>('[aria-invalid="true"]');
  found?.focus();
  return found !== null;
}

/** Browsers empty a search field on Escape. Nothing typed is lost that way here. */
function keepOnEscape(event: KeyboardEvent): void {
  if (event.key === 'Escape') event.preventDefault();
}

function describedBy({ id, hint, error }: FieldOptions): string | undefined {
  const ids = [...(error ? [`${id}-error`] : []), ...(hint ? [`${id}-hint`] : [])];
  return ids.length > 0 ? ids.join(' ') : undefined;
}

function remarks({ id, hint, error }: FieldOptions): TemplateResult {
  return html`${hint ? html`<p class="quiet" id="${id}-hint">${hint}</p>` : nothing}
  ${error ? html`<p class="field-error" id="${id}-error">${icon('cross')}<span>${error}</span></p>` : nothing}`;
}
