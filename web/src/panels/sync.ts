// Sync: start one, see how far it is, answer the brake, stop it, retry what failed.

import { css, html, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { startSync } from '../api/syncs.ts';
import type { PanelData, Run } from '../api/types.ts';
import { countsOf, isActive, plansAnything } from '../model/run.ts';
import type { State } from '../model/state.ts';
import { messageOf } from '../text/said.ts';
import { Panel } from '../ui/base.ts';
import { button } from '../ui/button.ts';
import { element } from '../ui/define.ts';
import { type Icon, icon } from '../ui/icons.ts';
import { relativeMoment } from '../ui/moment.ts';
import { notice } from '../ui/notice.ts';

const SIGNS: Readonly<Record<string, [Icon, string]>> = {
  success: ['check', 'good'],
  error: ['cross', 'bad'],
  skipped: ['skip', ''],
  cancelled: ['cross', 'warn'],
};

@element('pbm-sync')
export class SyncPanel extends Panel<PanelData> {
  static override styles = [
    ...Panel.styles,
    css`
      :host { --reserved: 14em; }
      .ways { display: grid; gap: 0.75em; }
      .way { display: flex; flex-wrap: wrap; gap: 0.5em 1em; align-items: center; }
      .way button { min-inline-size: 9em; }
      .way span { flex: 1 1 14em; }
      h4 { margin: 0; }
      dl { display: flex; flex-wrap: wrap; gap: 0.5em 2em; }
      dt { font-size: 0.875em; color: var(--_quiet); }
      dd { margin: 0; font-weight: 600; }
    `,
  ];

  /** The run and phase that were last read out. */
  #told = '';

  protected override get heading(): string {
    return this.page.texts.sync.title;
  }

  protected override get data(): State<PanelData> {
    return this.page.state;
  }

  protected override updated(changed: PropertyValues): void {
    super.updated(changed);
    const run = this.page?.run ?? null;
    if (run === null || !changed.has('page')) return;
    const now = stepOf(run);
    if (this.#told !== '' && now !== this.#told) this.#tell(run);
    this.#told = now;
  }

  #tell(run: Run): void {
    const words = this.page.texts.sync;
    const status = words.statuses[run.status] ?? run.status;
    if (run.status === 'running') this.announce(words.phases[run.phase] ?? '');
    else this.announce(isActive(run) ? status : words.finished(status));
  }

  protected override draw(data: PanelData): TemplateResult {
    const words = this.page.texts.sync;
    if (data.audience === null) return html`<p class="quiet">${words.noAudience}</p>`;
    const { run } = this.page;
    const active = run !== null && isActive(run);
    return html`<p class="quiet">${words.intro}</p>
      ${this.mayChange ? nothing : html`<p class="quiet">${this.page.texts.common.readOnly}</p>`}
      ${active ? this.#progress(run) : nothing} ${this.mayChange && !active ? this.#ways() : nothing}
      ${run !== null && !active ? this.#last(run) : nothing}`;
  }

  #ways(): TemplateResult {
    const words = this.page.texts.sync;
    const way = (name: string, label: string, hint: string, press: () => void, primary = false): TemplateResult =>
      html`<div class="way">
        ${button({ label, kind: primary ? 'primary' : 'usual', busy: this.doing === name, onPress: press })}
        <span class="quiet">${this.doing === name ? words.starting : hint}</span>
      </div>`;
    return html`<div class="ways">
      ${way('now', words.now, words.nowHint, () => void this.#start('now', 'incremental', false), true)}
      ${way('full', words.full, words.fullHint, () => void this.#start('full', 'full', false))}
      ${way('preview', words.preview, words.previewHint, () => void this.#start('preview', 'full', true))}
    </div>`;
  }

  #progress(run: Run): TemplateResult {
    const { texts, runFailure } = this.page;
    const words = texts.sync;
    if (run.status === 'awaiting_approval') return this.#brake(run);
    const { planned, done } = run.progress;
    const knows = planned !== null && planned > 0;
    const phase = words.phases[run.phase] ?? run.phase;
    const message = messageOf(run, texts, this.page.format);
    return html`<div class="stack raised">
      <p class="strong">${run.dry_run ? words.previewing : words.running}</p>
      <p>${phase}</p>
      ${
        knows
          ? html`<progress aria-label=${phase} max=${planned} value=${Math.min(done, planned)}></progress>`
          : html`<progress aria-label=${phase}></progress>`
      }
      <p class="quiet">${this.#figures(run)}</p>
      ${message ? html`<p>${message}</p>` : nothing}
      ${runFailure === null ? nothing : notice({ kind: 'warn', words: words.stale })}
      ${this.mayChange ? this.#stopButton(run) : nothing}
    </div>`;
  }

  #figures(run: Run): string {
    const { texts, format } = this.page;
    const words = texts.sync;
    const { planned, done, failed, rate, eta } = run.progress;
    const of = planned ? words.done(format.number(done), format.number(planned)) : '';
    const parts = [
      of || (done > 0 ? words.doneOnly(format.number(done)) : ''),
      failed > 0 ? words.failed(format.number(failed)) : '',
      rate ? words.rate(format.number(Math.round(rate))) : '',
      eta ? words.until(format.time(eta)) : '',
    ];
    return parts.filter((part) => part !== '').join(' · ');
  }

  #stopButton(run: Run): TemplateResult {
    const words = this.page.texts.sync;
    return html`<div class="row">
      ${button({ label: words.stop, busy: this.doing === 'stop', onPress: () => void this.#stop(run, true) })}
    </div>`;
  }

  #brake(run: Run): TemplateResult {
    const { texts, format } = this.page;
    const words = texts.sync;
    const said = run.brake && texts.brakes[run.brake.code]?.(run.brake.params, format);
    const why = said ?? run.brake?.reason ?? run.message;
    return html`<div class="stack">
      ${notice({ kind: 'warn', words: words.brake.title, fix: why })}
      ${
        this.mayChange
          ? html`<div class="row">
              ${button({
                label: words.brake.approve,
                busy: this.doing === 'approve',
                onPress: () => void this.#approve(run),
              })}
              ${button({
                label: words.brake.reject,
                busy: this.doing === 'stop',
                onPress: () => void this.#stop(run, false),
              })}
            </div>`
          : nothing
      }
    </div>`;
  }

  #last(run: Run): TemplateResult {
    const { texts, format } = this.page;
    const words = texts.sync;
    const [sign, look] = SIGNS[run.status] ?? ['info', ''];
    const message = messageOf(run, texts, format);
    return html`<div class="stack raised">
      <h4>${words.last}</h4>
      <p class=${look}>${icon(sign)} ${words.statuses[run.status] ?? run.status} ·
        ${run.dry_run ? words.dryRun : (words.types[run.type] ?? run.type)} ·
        ${run.finished_at ? relativeMoment(run.finished_at, format) : nothing}</p>
      ${message ? html`<p>${message}</p>` : nothing} ${run.dry_run ? this.#plan(run) : nothing}
      <div class="row">
        ${this.mayChange ? this.#next(run) : nothing}
        ${button({
          label: run.dry_run ? words.showPlan : words.show,
          onPress: () => this.page.actions.show('sync', run.id),
        })}
      </div>
    </div>`;
  }

  /** Of a preview: how many customers the sync would do what for. */
  #plan(run: Run): TemplateResult | typeof nothing {
    const { texts, format } = this.page;
    const names = texts.run.count;
    const counts = countsOf(run, names);
    if (counts.length === 0) return nothing;
    return html`<h4>${texts.run.counts.planned}</h4>
      <dl>${counts.map(([key, count]) => html`<div><dt>${names[key] ?? key}</dt><dd>${format.number(count)}</dd></div>`)}</dl>`;
  }

  #next(run: Run): TemplateResult | typeof nothing {
    const words = this.page.texts.sync;
    if (run.dry_run && !plansAnything(run)) return nothing;
    if (run.dry_run) {
      return button({
        label: words.doIt,
        busy: this.doing === 'do-it',
        onPress: () => void this.#start('do-it', run.type === 'full' ? 'full' : 'incremental', false),
      });
    }
    if (run.progress.failed === 0) return nothing;
    const onPress = (): void => void this.#retry(run);
    return button({ label: words.retry, icon: 'again', busy: this.doing === 'retry', onPress });
  }

  // doing

  async #start(name: string, type: 'incremental' | 'full', dry_run: boolean): Promise<void> {
    const { client, department, actions, texts } = this.page;
    const run = await this.perform(name, () => startSync(client, department, type, dry_run));
    if (run !== undefined) return actions.follow(run);
    const running = this.problem?.code === 'run-active' ? this.problem.more.run : undefined;
    if (running !== undefined) {
      this.problem = null;
      this.#told = stepOf(running as Run); // else its phase would be read out in place of what happened
      this.announce(texts.sync.alreadyRunning);
      actions.follow(running as Run);
    }
  }

  async #change(name: string, what: 'approve' | 'cancel' | 'retry', run: Run): Promise<boolean> {
    const { client, department, actions } = this.page;
    const params = { path: { department_id: department, run_id: run.id } };
    const changed = await this.perform(name, () =>
      client.ask((calls) =>
        what === 'approve'
          ? calls.POST('/departments/{department_id}/syncs/{run_id}/approve', { params })
          : what === 'cancel'
            ? calls.POST('/departments/{department_id}/syncs/{run_id}/cancel', { params })
            : calls.POST('/departments/{department_id}/syncs/{run_id}/retry', { params }),
      ),
    );
    if (changed === undefined) return false;
    actions.follow(changed);
    await actions.refresh();
    return true;
  }

  async #approve(run: Run): Promise<void> {
    if (await this.#change('approve', 'approve', run)) this.announce(this.page.texts.sync.brake.approved);
    await this.focusOn('#heading');
  }

  async #stop(run: Run, ask: boolean): Promise<void> {
    const { stopTitle: title, stopBody: body, stopYes: yes, stopNo: no, stopped } = this.page.texts.sync;
    if (ask && !(await this.confirm({ title, body, yes, no, danger: true }))) return;
    if (await this.#change('stop', 'cancel', run)) this.announce(stopped);
    await this.focusOn('#heading');
  }

  async #retry(run: Run): Promise<void> {
    await this.#change('retry', 'retry', run);
    await this.focusOn('#heading');
  }
}

/** Where a run is, as far as that is read out. */
function stepOf({ id, phase, status }: Run): string {
  return `${id} ${phase} ${status}`;
}

declare global {
  interface HTMLElementTagNameMap {
    'pbm-sync': SyncPanel;
  }
}
