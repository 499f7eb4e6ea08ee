// Settings: what a department may choose about its sync. Each choice says what it does.

import { css, html, nothing, type TemplateResult } from 'lit';
import { state } from 'lit/decorators.js';
import { live } from 'lit/directives/live.js';
import type { PanelData, Settings, SettingsChange } from '../api/types.ts';
import { changesOf, formOf, LIMITS, type Limit, type SettingsForm, wrongLimits } from '../model/settings.ts';
import type { State } from '../model/state.ts';
import { fieldWordsOf } from '../text/said.ts';
import { Panel } from '../ui/base.ts';
import { button } from '../ui/button.ts';
import { element } from '../ui/define.ts';
import { focusFirstError, textField } from '../ui/field.ts';

interface Choice {
  readonly label: string;
  readonly does: string;
}

@element('pbm-settings')
export class SettingsPanel extends Panel<PanelData> {
  static override styles = [
    ...Panel.styles,
    css`
      form { gap: 1.5em; }
      fieldset { display: grid; gap: 0.25em; }
      .limits { display: grid; gap: 0.75em; grid-template-columns: repeat(2, minmax(0, 1fr)); padding-block-start: 0.5em; }
      @container (max-width: 38em) { .limits { grid-template-columns: minmax(0, 1fr); } }
      dt { font-size: 0.875em; color: var(--_quiet); }
      dd { margin: 0 0 0.75em; }
    `,
  ];

  protected override readonly comesWithData = true;
  /** What has been typed; null: as saved. */
  @state() private draft: SettingsForm | null = null;
  @state() private wrong: Partial<Record<Limit, number>> = {};
  /** What the service finds wrong, by its own names of the fields (`brake.removals`). */
  @state() private refused: Readonly<Record<string, string>> = {};

  protected override get heading(): string {
    return this.page.texts.settings.title;
  }

  protected override get data(): State<PanelData> {
    return this.page.state;
  }

  protected override draw({ connection, settings }: PanelData): TemplateResult {
    if (connection.state === 'not_connected') {
      return html`<p class="quiet">${this.page.texts.settings.notConnected}</p>`;
    }
    return this.mayChange ? this.#form(settings) : this.#summary(settings);
  }

  #summary(settings: Settings): TemplateResult {
    const { texts, format } = this.page;
    const words = texts.settings;
    const line = (name: string, value: string, does = ''): TemplateResult =>
      html`<dt>${name}</dt><dd>${value} ${does === '' ? nothing : html`<span class="quiet">${does}</span>`}</dd>`;
    const unknown = words.unknownConsent.choices[settings.unknown_consent];
    const removed = words.onRemoved.choices[settings.on_removed];
    return html`<p class="quiet">${texts.common.readOnly}</p>
      <dl>
        ${line(words.unknownConsent.legend, unknown.label, unknown.does)}
        ${line(words.onRemoved.legend, removed.label, removed.does)}
        ${line(words.askAgain.label, settings.ask_again ? words.on : words.off)}
        ${LIMITS.map((limit) => line(words.brake.limits[limit], format.number(settings.brake[limit])))}
        ${line(words.paused.label, settings.paused ? words.on : words.off)}
      </dl>`;
  }

  #form(settings: Settings): TemplateResult {
    const words = this.page.texts.settings;
    const form = this.draft ?? formOf(settings);
    const submit = (event: Event): void => {
      event.preventDefault();
      void this.#save(settings);
    };
    return html`<form class="stack" novalidate @submit=${submit}>
      ${this.#radios('unknown_consent', words.unknownConsent, form)} ${this.#radios('on_removed', words.onRemoved, form)}
      ${this.#box('ask_again', words.askAgain, form)} ${this.#limits(form)} ${this.#box('paused', words.paused, form)}
      <div class="row">
        ${button({
          label: words.save,
          kind: 'primary',
          type: 'submit',
          busy: this.doing === 'save',
          onPress: () => undefined,
        })}
        ${this.draft === null ? nothing : button({ label: words.reset, kind: 'plain', onPress: () => this.#reset() })}
      </div>
    </form>`;
  }

  #radios(
    name: 'unknown_consent' | 'on_removed',
    words: { readonly legend: string; readonly hint?: string; readonly choices: Readonly<Record<string, Choice>> },
    form: SettingsForm,
  ): TemplateResult {
    return html`<fieldset>
      <legend>${words.legend}</legend>
      ${words.hint ? html`<p class="quiet">${words.hint}</p>` : nothing}
      ${Object.entries(words.choices).map(
        ([value, { label, does }]) => html`<div class="choice">
          <input
            type="radio"
            id="${name}-${value}"
            name=${name}
            value=${value}
            .checked=${live(form[name] === value)}
            aria-describedby="${name}-${value}-does"
            @change=${() => this.#put(form, { [name]: value })}
          />
          <div>
            <label for="${name}-${value}">${label}</label>
            <p class="quiet" id="${name}-${value}-does">${does}</p>
          </div>
        </div>`,
      )}
    </fieldset>`;
  }

  #box(name: 'ask_again' | 'paused', words: Choice & { readonly legend: string }, form: SettingsForm): TemplateResult {
    return html`<fieldset>
      <legend>${words.legend}</legend>
      <div class="choice">
        <input
          type="checkbox"
          id=${name}
          .checked=${live(form[name])}
          aria-describedby="${name}-does"
          @change=${(event: Event) => this.#put(form, { [name]: (event.target as HTMLInputElement).checked })}
        />
        <div>
          <label for=${name}>${words.label}</label>
          <p class="quiet" id="${name}-does">${words.does}</p>
        </div>
      </div>
    </fieldset>`;
  }

  #limits(form: SettingsForm): TemplateResult {
    const { texts, format } = this.page;
    const words = texts.settings.brake;
    return html`<fieldset>
      <legend>${words.legend}</legend>
      <p class="quiet">${words.hint}</p>
      <div class="limits">${LIMITS.map((limit) => {
        const most = this.wrong[limit];
        return textField({
          id: limit,
          label: words.limits[limit],
          value: form[limit],
          inputMode: 'numeric',
          error: most === undefined ? this.refused[`brake.${limit}`] : words.wrong(format.number(most)),
          onInput: (value) => this.#put(form, { [limit]: value }),
        });
      })}</div>
    </fieldset>`;
  }

  #put(form: SettingsForm, change: Partial<SettingsForm>): void {
    this.draft = { ...form, ...change };
    this.refused = {};
    if (Object.keys(this.wrong).length > 0) this.wrong = wrongLimits(this.draft);
  }

  protected override get hasDraft(): boolean {
    return this.draft !== null;
  }

  /** What names a field of the form is said there; the rest stays above. */
  async #notSaved(): Promise<void> {
    if (this.problem === null) return;
    this.refused = fieldWordsOf(this.problem, this.page.texts, this.page.format);
    await this.updateComplete;
    if (focusFirstError(this.renderRoot)) this.problem = null;
  }

  #reset(): void {
    this.draft = null;
    this.wrong = this.refused = {};
    this.problem = null;
    void this.focusOn('#heading');
  }

  async #save(settings: Settings): Promise<void> {
    const { texts } = this.page;
    const form = this.draft ?? formOf(settings);
    this.wrong = wrongLimits(form);
    if (Object.keys(this.wrong).length > 0) {
      await this.updateComplete;
      focusFirstError(this.renderRoot);
      return;
    }
    const changes = changesOf(form, settings);
    if (changes === null) return this.announce(texts.settings.unchanged);
    if (changes.unknown_consent === 'subscribe' && !(await this.confirm(texts.settings.confirm))) return;
    await this.#send(changes);
  }

  async #send(body: SettingsChange): Promise<void> {
    const { client, department, actions, texts } = this.page;
    const params = { path: { department_id: department } };
    const saved = await this.perform('save', () =>
      client.ask((calls) => calls.PUT('/departments/{department_id}/settings', { params, body })),
    );
    if (saved === undefined) return this.#notSaved();
    await actions.put({ settings: saved });
    this.draft = null;
    this.announce(texts.settings.saved);
    await this.focusOn('#heading');
    await actions.refresh();
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'pbm-settings': SettingsPanel;
  }
}
