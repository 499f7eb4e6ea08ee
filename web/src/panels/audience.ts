// Audience Overview: which audience the department is kept in step with; choosing one, creating one.

import { css, html, nothing, type TemplateResult } from 'lit';
import { state } from 'lit/decorators.js';
import { createRef, type Ref, ref } from 'lit/directives/ref.js';
import type { Failure } from '../api/failure.ts';
import type { Audience, AudienceList, NewAudience, PanelData } from '../api/types.ts';
import { fieldErrors, mayHaveHappened, type NewAudienceForm, newAudience } from '../model/audience.ts';
import { dataOf, type State } from '../model/state.ts';
import { fieldWordsOf } from '../text/said.ts';
import { Panel } from '../ui/base.ts';
import { button } from '../ui/button.ts';
import { element } from '../ui/define.ts';
import { focusFirstError, selectField, textField } from '../ui/field.ts';
import { relativeMoment } from '../ui/moment.ts';

const EMPTY: NewAudienceForm = {
  name: '',
  from_name: '',
  from_email: '',
  company: '',
  'address.line1': '',
  'address.city': '',
  'address.state': '',
  'address.postcode': '',
  'address.country': '',
  permission_reminder: '',
};
// How long nobody may have typed in a field before it is said what is wrong with it.
const LOOK_AFTER_MS = 600;
type FieldName = keyof NewAudienceForm;
type Offered = AudienceList['items'][number];

@element('pbm-audience')
export class AudiencePanel extends Panel<PanelData> {
  static override styles = [
    ...Panel.styles,
    css`
      dl { display: flex; flex-wrap: wrap; gap: 0.75em 2em; }
      dt { font-size: 0.875em; color: var(--_quiet); }
      dd { margin: 0; font-weight: 600; }
      form { max-inline-size: 40em; }
      h4 { margin: 0; }
    `,
  ];

  protected override readonly comesWithData = true;
  @state() private found: AudienceList | null = null;
  @state() private chosen = '';
  @state() private creating = false;
  @state() private form: NewAudienceForm = EMPTY;
  @state() private errors: Readonly<Record<string, string>> = {};
  /** One attempt to create has one key, so that a second press after a lost answer makes no second audience. */
  #attempt = '';
  /** The name that is sent, or that somebody wants although the account has an audience of that name. */
  #sure = '';
  #lookTimer: ReturnType<typeof setTimeout> | undefined;
  readonly #form: Ref<HTMLFormElement> = createRef();

  protected override get heading(): string {
    return this.page.texts.audience.title;
  }

  protected override get data(): State<PanelData> {
    return this.page.state;
  }

  protected override get hasDraft(): boolean {
    return this.creating && this.#isTyped;
  }

  /** Whether anything is in the form but what it begins with. */
  get #isTyped(): boolean {
    const { permission_reminder: reminder, ...rest } = this.form;
    return Object.values(rest).some((value) => value !== '') || !['', this.#reminder].includes(reminder);
  }

  get #reminder(): string {
    return this.page.texts.audience.create.reminder;
  }

  protected override draw(data: PanelData): TemplateResult {
    const words = this.page.texts.audience;
    if (data.connection.state === 'not_connected') return html`<p class="quiet">${words.notConnected}</p>`;
    if (data.audience === null && !this.mayChange) return html`<p class="quiet">${words.none}</p>`;
    return html`${data.audience === null ? nothing : this.#overview(data.audience)}
      ${this.mayChange ? this.#changes(data) : nothing}`;
  }

  #overview(audience: Audience): TemplateResult {
    const { texts, format } = this.page;
    const words = texts.audience;
    const counted = audience.counted_at;
    return html`<dl>
      <div><dt>${words.name}</dt><dd>${audience.name}</dd></div>
      <div><dt>${words.members}</dt><dd>${
        audience.member_count === null
          ? words.notCounted
          : html`${format.number(audience.member_count)} ${
              counted
                ? html`<span class="quiet">${words.counted(format.relative(counted, new Date()))}</span>`
                : nothing
            }`
      }</dd></div>
      <div><dt>${words.segments}</dt><dd>${format.number(audience.segments)}</dd></div>
      <div><dt>${words.lastSynced}</dt><dd>${
        audience.last_synced_at ? relativeMoment(audience.last_synced_at, format) : words.never
      }</dd></div>
    </dl>`;
  }

  #changes(data: PanelData): TemplateResult {
    const words = this.page.texts.audience;
    if (this.creating) return this.#createForm();
    if (this.found !== null) return this.#choice(this.found, data.audience);
    const label = data.audience === null ? words.choose.load : words.choose.change;
    return html`${data.audience === null ? html`<p>${words.choose.intro}</p>` : nothing}
      <div class="row">
        ${button({ label, busy: this.doing === 'list', onPress: () => void this.#list() })}
        ${data.audience === null ? this.#createButton() : nothing}
      </div>`;
  }

  #createButton(): TemplateResult {
    return button({
      id: 'create',
      label: this.page.texts.audience.create.open,
      icon: 'plus',
      onPress: () => this.#openForm(),
    });
  }

  #choice(found: AudienceList, present: Audience | null): TemplateResult {
    const { texts } = this.page;
    const words = texts.audience;
    const choices = found.items.map((one) => ({ value: one.id, label: this.#labelOf(one) }));
    return html`<div class="stack">
      ${
        choices.length === 0
          ? html`<p>${words.choose.none}</p>`
          : selectField({
              id: 'audience',
              label: words.choose.label,
              value: this.chosen,
              choices,
              error: this.errors.audience_id,
              onChange: (value) => {
                this.chosen = value;
                this.errors = {};
              },
            })
      }
      ${found.may_create ? nothing : html`<p class="quiet">${found.reason ?? words.create.limit.fix}</p>`}
      <div class="row">
        ${
          choices.length === 0
            ? nothing
            : button({
                label: words.choose.action,
                kind: 'primary',
                busy: this.doing === 'select',
                onPress: () => void this.#select(present),
              })
        }
        ${found.may_create ? this.#createButton() : nothing}
        ${button({ label: texts.common.cancel, kind: 'plain', onPress: () => void this.#close() })}
      </div>
    </div>`;
  }

  #labelOf({ name, member_count: members }: Offered): string {
    const { texts, format } = this.page;
    const { choose, members_ } = texts.audience;
    return members === null ? name : choose.option(name, format.count(members, members_));
  }

  #createForm(): TemplateResult {
    const words = this.page.texts.audience.create;
    const submit = (event: Event): void => {
      event.preventDefault();
      void this.#create();
    };
    const busy = this.doing === 'create';
    return html`<form class="stack" novalidate ${ref(this.#form)} @submit=${submit}>
      <h4>${words.title}</h4>
      <p class="quiet">${words.note}</p>
      ${(Object.keys(EMPTY) as FieldName[]).map((name) => this.#field(name))}
      <div class="row">
        ${button({ label: words.action, kind: 'primary', type: 'submit', busy, onPress: () => undefined })}
        ${button({ label: words.cancel, kind: 'plain', onPress: () => void this.#close() })}
        ${busy ? html`<span class="quiet">${words.busy}</span>` : nothing}
      </div>
    </form>`;
  }

  #field(name: FieldName): TemplateResult {
    const words = this.page.texts.audience.create;
    return textField({
      id: name.replace('.', '-'),
      label: words.fields[name],
      value: this.form[name],
      error: this.errors[name],
      ...(words.hints[name] ? { hint: words.hints[name] } : {}),
      required: name !== 'address.state',
      ...(name === 'from_email' ? { type: 'email' as const, inputMode: 'email' as const } : {}),
      onInput: (value) => {
        this.form = { ...this.form, [name]: value };
        this.#lookSoon(name);
      },
    });
  }

  /** Once nobody types any more: not when the field is left, or the words would push the button away from under a press. */
  #lookSoon(name: FieldName): void {
    clearTimeout(this.#lookTimer);
    this.#lookTimer = setTimeout(
      () => {
        this.errors = { ...this.errors, ...this.#wrong([name]) };
      },
      this.errors[name] ? 0 : LOOK_AFTER_MS,
    );
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearTimeout(this.#lookTimer);
  }

  #wrong(names: readonly FieldName[]): Record<string, string> {
    const words = this.page.texts.audience.create;
    const found = fieldErrors(this.form);
    return Object.fromEntries(names.map((name) => [name, found[name] ? words[found[name]] : '']));
  }

  // doing

  get #path(): { department_id: string } {
    return { department_id: this.page.department };
  }

  async #list(): Promise<void> {
    const found = await this.perform('list', () =>
      this.page.client.ask((calls) =>
        calls.GET('/departments/{department_id}/audiences', { params: { path: this.#path } }),
      ),
    );
    if (found === undefined) return;
    this.#offer(found);
    await this.focusOn('#audience');
  }

  #offer(found: AudienceList): void {
    this.found = found;
    // What is offered first changes nothing.
    const present = dataOf(this.data)?.audience?.id;
    this.chosen = found.items.find(({ id }) => id === present)?.id ?? found.items[0]?.id ?? '';
  }

  async #select(present: Audience | null): Promise<void> {
    const words = this.page.texts.audience.choose;
    const audience_id = this.chosen;
    if (present !== null && present.id !== audience_id) {
      const { confirmTitle: title, confirmBody: body, yes, no } = words;
      if (!(await this.confirm({ title, body, yes, no }))) return;
    }
    const selected = await this.perform('select', () =>
      this.page.client.ask((calls) =>
        calls.PUT('/departments/{department_id}/audience', { params: { path: this.#path }, body: { audience_id } }),
      ),
    );
    if (selected !== undefined) return this.#selected(selected);
    await this.#notSelected();
  }

  /** The audience is gone: those that are there are offered, and the field says why. */
  async #notSelected(): Promise<void> {
    if (this.problem?.code !== 'no-such-audience') return;
    this.errors = fieldWordsOf(this.problem, this.page.texts, this.page.format);
    this.#offerOthers(this.problem);
    this.problem = null;
    await this.updateComplete;
    focusFirstError(this.renderRoot);
  }

  #offerOthers({ more }: Failure): void {
    const items = more.audiences as AudienceList['items'] | undefined;
    if (items) this.#offer({ may_create: true, reason: null, next_cursor: null, ...this.found, items });
  }

  async #selected(audience: Audience): Promise<void> {
    const { actions, texts } = this.page;
    await actions.put({ audience });
    this.announce(texts.audience.choose.done(audience.name));
    await this.#close();
    await actions.refresh();
  }

  #openForm(): void {
    // What was typed before somebody chose to look at the other audiences first is there again.
    if (!this.#isTyped) this.form = { ...EMPTY, permission_reminder: this.#reminder };
    this.errors = {};
    if (this.#attempt === '') this.#attempt = crypto.randomUUID();
    this.creating = true;
    void this.focusOn('#name');
  }

  async #close(): Promise<void> {
    this.creating = false;
    this.found = null;
    this.problem = null;
    this.form = EMPTY;
    this.errors = {};
    this.#attempt = this.#sure = '';
    await this.focusOn('#heading');
  }

  async #create(): Promise<void> {
    if (this.doing !== null) return;
    this.errors = this.#wrong(Object.keys(EMPTY) as FieldName[]);
    if (Object.values(this.errors).some((words) => words !== '')) return this.#showErrors();
    const body: NewAudience = newAudience(this.form);
    if (!(await this.#isSureOf(body.name))) return;
    const created = await this.perform('create', () =>
      this.page.client.ask((calls) =>
        calls.POST('/departments/{department_id}/audiences', {
          params: { path: this.#path, header: { 'Idempotency-Key': this.#attempt } },
          body,
        }),
      ),
    );
    if (created !== undefined) return this.#selected(created);
    await this.#refused();
  }

  /** Mailchimp allows a second audience of a name. An attempt that goes on is not asked about: it may have made the first. */
  async #isSureOf(name: string): Promise<boolean> {
    if (name === this.#sure) return true;
    const params = { path: this.#path, query: { name, limit: 1 } };
    const found = await this.perform('create', () =>
      this.page.client.ask((calls) => calls.GET('/departments/{department_id}/audiences', { params })),
    );
    if (found === undefined || (found.items[0] && !(await this.#wantsTwin(found.items[0])))) return false;
    this.#sure = name;
    return true;
  }

  async #wantsTwin(there: Offered): Promise<boolean> {
    const { title, body, yes, no } = this.page.texts.audience.create.twin;
    const wanted = await this.confirm({ title, body: body(this.#labelOf(there)), yes, no });
    if (!wanted) await this.focusOn('#name');
    return wanted;
  }

  async #refused(): Promise<void> {
    const failure = this.problem;
    if (failure === null) return; // signed out: the same attempt goes on afterwards
    if (!mayHaveHappened(failure)) this.#attempt = crypto.randomUUID();
    if (failure.code === 'plan-limit-reached') return this.#mayNotCreate(failure);
    const named = fieldWordsOf(failure, this.page.texts, this.page.format);
    if (Object.keys(named).length === 0) return;
    this.errors = named;
    await this.#showErrors();
  }

  /** The plan has no room for another audience: those that are there are offered, and what was typed is kept. */
  async #mayNotCreate(failure: Failure): Promise<void> {
    this.#offerOthers(failure);
    this.creating = false;
    await this.focusOn('#audience');
  }

  /** Words for the plan's limit; all else as everywhere. */
  protected override failureWords(failure: Failure): { words: string; fix: string } {
    const isLimit = failure.code === 'plan-limit-reached';
    return isLimit ? this.page.texts.audience.create.limit : super.failureWords(failure);
  }

  async #showErrors(): Promise<void> {
    await this.updateComplete;
    if (this.#form.value) focusFirstError(this.#form.value);
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'pbm-audience': AudiencePanel;
  }
}
