// Connection Status: whether the department is connected, to which account, and what needs attention. Connecting,
// replacing the key, disconnecting.

import { css, html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { state } from 'lit/decorators.js';
import type { Failure } from '../api/failure.ts';
import type { Connection, Finding, PanelData } from '../api/types.ts';
import { cleanKey, looksLikeKey } from '../model/key.ts';
import type { State } from '../model/state.ts';
import { wordsOf } from '../text/failure-words.ts';
import { Panel } from '../ui/base.ts';
import { button } from '../ui/button.ts';
import { element } from '../ui/define.ts';
import { focusFirstError, textField } from '../ui/field.ts';
import { type Icon, icon } from '../ui/icons.ts';
import { relativeMoment } from '../ui/moment.ts';
import { type NoticeKind, notice } from '../ui/notice.ts';

const KINDS: Record<Finding['severity'], NoticeKind> = { error: 'bad', warning: 'warn', info: 'info' };

@element('pbm-connection')
export class ConnectionPanel extends Panel<PanelData> {
  static override styles = [
    ...Panel.styles,
    css`
      :host { --reserved: 3.5em; }
      dl { display: flex; flex-wrap: wrap; gap: 0.75em 2em; }
      dt { font-size: 0.875em; color: var(--_quiet); }
      dd { margin: 0; font-weight: 600; }
      .secret { -webkit-text-security: disc; font-family: ui-monospace, monospace; }
      form { max-inline-size: 36em; }
      ol { padding-inline-start: 1.5em; }
      summary { cursor: pointer; padding-block: 0.5em; color: var(--_accent); font-weight: 600; }
      .findings { list-style: none; padding: 0; display: grid; gap: 0.75em; }
    `,
  ];

  @state() private key = '';
  @state() private cleaned = false;
  /** What the page itself finds wrong with the key. */
  @state() private keyError = '';
  @state() private replacing = false;
  /** When another key may be tried, as the clock of this page goes. */
  @state() private blockedUntil = 0;
  @state() private now = Date.now();
  #countdown: ReturnType<typeof setInterval> | undefined;

  protected override get heading(): string {
    return this.page.texts.connection.title;
  }

  protected override get data(): State<PanelData> {
    return this.page.state;
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearInterval(this.#countdown);
    this.#countdown = undefined;
  }

  protected override updated(changed: PropertyValues): void {
    super.updated(changed);
    const waits = this.blockedUntil > this.now;
    if (waits && this.#countdown === undefined) {
      this.#countdown = setInterval(() => {
        this.now = Date.now();
      }, 1000);
    } else if (!waits) {
      clearInterval(this.#countdown);
      this.#countdown = undefined;
    }
  }

  protected override get hasDraft(): boolean {
    return this.key !== '';
  }

  protected override draw(data: PanelData): TemplateResult {
    const { texts } = this.page;
    const { connection } = data;
    const connected = connection.state !== 'not_connected';
    return html`
      ${this.#status(data)} ${this.#findings(connection.health)}
      ${this.mayChange ? nothing : html`<p class="quiet">${texts.common.readOnly}</p>`}
      ${this.mayChange && (!connected || this.replacing) ? this.#form(connected) : nothing}
      ${this.mayChange && connected && !this.replacing ? this.#buttons() : nothing}
    `;
  }

  #status({ connection, settings }: PanelData): TemplateResult {
    const { texts, format } = this.page;
    const words = texts.connection;
    const [sign, look] = signOf(connection.state);
    return html`<dl>
      <div><dt>${words.status}</dt><dd class=${look}>${icon(sign)} ${words.states[connection.state]}</dd></div>
      ${item(words.account, connection.account_name)} ${item(words.server, connection.server_prefix)}
      ${item(words.key, connection.key_hint && words.keyHint(connection.key_hint))}
      ${
        connection.state === 'not_connected'
          ? nothing
          : item(
              words.lastSynced,
              connection.last_synced_at ? relativeMoment(connection.last_synced_at, format) : words.never,
            )
      }
      ${
        connection.state === 'connected' && connection.audience !== null
          ? item(words.nextSync, this.#nextSync(connection, settings.paused))
          : nothing
      }
    </dl>`;
  }

  #nextSync({ next_sync_at: at }: Connection, isPaused: boolean): string | TemplateResult {
    const { texts, format } = this.page;
    const words = texts.connection;
    if (isPaused) return words.paused;
    return at === null ? words.notKnown : relativeMoment(at, format);
  }

  #findings(findings: readonly Finding[]): TemplateResult | typeof nothing {
    const words = this.page.texts.connection;
    if (findings.length === 0) return nothing;
    return html`<h4 id="findings">${words.findings}</h4>
      <ul class="findings" aria-labelledby="findings">
        ${findings.map((finding) => html`<li>${this.#finding(finding)}</li>`)}
      </ul>`;
  }

  #finding({ code, severity, message, fix, params }: Finding): TemplateResult {
    const { texts, format } = this.page;
    const said = texts.findings[code]?.(params, format) ?? { words: message, fix };
    const words = `${texts.connection.severities[severity]}: ${said.words}`;
    return notice({ kind: KINDS[severity], words, fix: said.fix });
  }

  #buttons(): TemplateResult {
    const words = this.page.texts.connection;
    return html`<div class="row">
      ${button({ id: 'replace', label: words.replace.open, icon: 'key', onPress: () => this.#openReplacing() })}
      ${button({
        id: 'disconnect',
        label: words.disconnect.open,
        kind: 'danger',
        icon: 'off',
        busy: this.doing === 'disconnect',
        onPress: () => void this.#disconnect(),
      })}
    </div>`;
  }

  #form(connected: boolean): TemplateResult {
    const { texts } = this.page;
    const words = texts.connection;
    const intent = connected ? words.replace : words.connect;
    const busy = this.doing === 'connect';
    return html`<form class="stack" novalidate @submit=${(event: Event) => void this.#submit(event, connected)}>
      <h4>${intent.title}</h4>
      <p>${intent.intro}</p>
      ${textField({
        id: 'key',
        label: words.connect.label,
        value: this.key,
        hint: this.cleaned ? words.connect.cleaned : words.connect.hint,
        error: this.#keyProblem(),
        required: true,
        secret: true,
        onInput: (value, event) => this.#typed(value, event),
      })}
      <details>
        <summary>${words.connect.where}</summary>
        <ol>${words.connect.steps.map((step) => html`<li>${step}</li>`)}</ol>
      </details>
      <p class="quiet">${words.connect.secret}</p>
      <div class="row">
        ${button({
          label: busy ? words.connect.busy : intent.action,
          kind: 'primary',
          type: 'submit',
          busy: busy || this.blockedUntil > this.now,
          onPress: () => {},
        })}
        ${
          connected
            ? button({ label: texts.common.cancel, onPress: () => void this.#closeReplacing('#replace') })
            : nothing
        }
      </div>
    </form>`;
  }

  /** A failure that the field shows is not shown a second time above the form. */
  protected override drawProblem(failure: Failure): TemplateResult | typeof nothing {
    return this.#fieldError(failure) === '' ? super.drawProblem(failure) : nothing;
  }

  protected override failureWords(failure: Failure): { words: string; fix: string } {
    const { failures } = this.page.texts.connection;
    if (failure.code === 'another-account') return failures.anotherAccount;
    if (failure.code === 'not-found' && this.doing !== 'disconnect') return failures.unknownDepartment;
    if (failure.code === 'too-many-attempts') {
      const seconds = (this.blockedUntil - this.now) / 1000;
      return failures.tooMany(seconds > 0 ? this.page.format.wait(seconds) : '');
    }
    return wordsOf(failure, this.page.texts, this.page.format);
  }

  #keyProblem(): string {
    return this.keyError || (this.problem ? this.#fieldError(this.problem) : '');
  }

  #fieldError(failure: Failure): string {
    const { errors, failures } = this.page.texts.connection;
    const wrong = failure.fields.api_key;
    if (failure.code === 'another-account' && wrong)
      return `${failures.anotherAccount.words} ${failures.anotherAccount.fix}`;
    if (failure.status !== 400 && failure.status !== 422) return '';
    return errors.byCode[failure.code] ?? (failure.status === 400 && wrong ? errors.form : (wrong?.words ?? ''));
  }

  #typed(value: string, event: InputEvent): void {
    const { key, wasCleaned } = cleanKey(value);
    this.key = key;
    this.cleaned = wasCleaned || (this.cleaned && event.inputType !== 'deleteContentBackward');
    if (wasCleaned) this.announce(this.page.texts.connection.connect.cleaned);
    this.keyError = '';
    this.problem = null;
  }

  async #submit(event: Event, replacing: boolean): Promise<void> {
    event.preventDefault();
    if (this.doing !== null || this.blockedUntil > this.now) return;
    const { errors } = this.page.texts.connection;
    this.keyError = this.key === '' ? errors.empty : looksLikeKey(this.key) ? '' : errors.form;
    if (this.keyError === '') await this.#connect(replacing);
    await this.updateComplete;
    focusFirstError(this.renderRoot);
  }

  async #connect(replacing: boolean): Promise<void> {
    const { client, department, texts, actions } = this.page;
    const api_key = this.key;
    this.key = ''; // it leaves the page as the call goes out, and comes back only if it has to be sent again
    this.cleaned = false;
    this.announce(texts.connection.connect.busy);
    // Busy until it shows: an empty form in between would look as if nothing had happened.
    const connection = await this.perform('connect', async () => {
      const answer = await client.ask((calls) =>
        calls.PUT('/departments/{department_id}/connection', {
          params: { path: { department_id: department } },
          body: { api_key },
        }),
      );
      await actions.refresh();
      return answer;
    });
    if (connection === undefined) return this.#refused(api_key);
    this.announce(
      replacing ? texts.connection.replace.done : texts.connection.connect.done(connection.account_name ?? ''),
    );
    actions.tell('pbm-connected', null);
    await this.#closeReplacing('#heading');
  }

  #refused(key: string): void {
    this.key = key;
    const seconds = this.problem?.code === 'too-many-attempts' ? (this.problem.retryAfter ?? 0) : 0;
    this.now = Date.now();
    this.blockedUntil = this.now + seconds * 1000;
  }

  #openReplacing(): void {
    this.replacing = true;
    this.problem = null;
    void this.focusOn('#key');
  }

  async #closeReplacing(focus: string): Promise<void> {
    this.replacing = false;
    this.key = this.keyError = '';
    this.cleaned = false;
    this.problem = null;
    await this.focusOn(focus);
  }

  async #disconnect(): Promise<void> {
    const { client, department, texts, actions } = this.page;
    const words = texts.connection.disconnect;
    const yes = await this.confirm({
      title: words.title,
      body: words.body,
      yes: words.yes,
      no: words.no,
      danger: true,
    });
    if (!yes) return;
    const done = await this.perform('disconnect', async () => {
      const answer = await client.ask((calls) =>
        calls.DELETE('/departments/{department_id}/connection', { params: { path: { department_id: department } } }),
      );
      await actions.refresh();
      return answer;
    });
    if (done === undefined) return;
    this.announce(words.done);
    actions.tell('pbm-disconnected', null);
    await this.focusOn('#heading');
  }
}

function item(term: string, value: string | TemplateResult | null): TemplateResult | typeof nothing {
  return value ? html`<div><dt>${term}</dt><dd>${value}</dd></div>` : nothing;
}

function signOf(state: Connection['state']): [Icon, string] {
  if (state === 'connected') return ['check', 'good'];
  return state === 'not_connected' ? ['off', ''] : ['cross', 'bad'];
}

declare global {
  interface HTMLElementTagNameMap {
    'pbm-connection': ConnectionPanel;
  }
}
