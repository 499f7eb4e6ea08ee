// A moment in words, with the exact one beside it.

import { html, type TemplateResult } from 'lit';
import type { Format } from '../text/format.ts';

/** "12 minutes ago"; the exact moment in its title. */
export function relativeMoment(instant: string, format: Format, now: Date = new Date()): TemplateResult {
  return html`<time datetime=${instant} title=${format.moment(instant)}>${format.relative(instant, now)}</time>`;
}

export function exactMoment(instant: string, format: Format): TemplateResult {
  return html`<time datetime=${instant}>${format.moment(instant)}</time>`;
}
