// Something to notice: a failure, a finding, a success. Its sign has a word or a sentence beside it.

import { html, nothing, type TemplateResult } from 'lit';
import { type ButtonOptions, button } from './button.ts';
import { type Icon, icon } from './icons.ts';

export type NoticeKind = 'good' | 'info' | 'warn' | 'bad';

const ICONS: Record<NoticeKind, Icon> = { good: 'check', info: 'info', warn: 'warning', bad: 'cross' };

export interface NoticeOptions {
  readonly kind: NoticeKind;
  readonly words: string | TemplateResult;
  /** What to do about it. */
  readonly fix?: string | TemplateResult;
  readonly action?: ButtonOptions;
  /** Read it out at once. For failures; not for what was there when the panel opened. */
  readonly alert?: boolean;
}

export function notice(options: NoticeOptions): TemplateResult {
  const body = html`${icon(ICONS[options.kind])}
    <div>
      <p class="words strong">${options.words}</p>
      ${options.fix ? html`<p class="fix">${options.fix}</p>` : nothing}
      ${options.action ? button(options.action) : nothing}
    </div>`;
  return options.alert
    ? html`<div class="notice ${options.kind}" role="alert">${body}</div>`
    : html`<div class="notice ${options.kind}">${body}</div>`;
}
