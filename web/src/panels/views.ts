// Which panels a view shows, in their order. A view without panels has no tab.

import { html, type TemplateResult } from 'lit';
import type { View } from '../model/views.ts';
import type { Page } from '../ui/page.ts';
import './audience.ts';
import './connection.ts';
import './customer.ts';
import './logs.ts';
import './reconciliation.ts';
import './run-detail.ts';
import './segments.ts';
import './settings.ts';
import './sync.ts';
import './trend.ts';

const PARTS = 'panel, button, button-primary';

type Panels = Partial<Record<View, (page: Page) => TemplateResult>>;

export const PANELS: Panels = {
  overview: (page) => html`<pbm-connection exportparts=${PARTS} .page=${page}></pbm-connection>
    <pbm-audience exportparts=${PARTS} .page=${page}></pbm-audience>
    <pbm-settings exportparts=${PARTS} .page=${page}></pbm-settings>
    <pbm-trend exportparts=${PARTS} .page=${page}></pbm-trend>`,
  segments: (page) => html`<pbm-segments exportparts=${PARTS} .page=${page}></pbm-segments>`,
  sync: (page) =>
    page.item === null
      ? html`<pbm-sync exportparts=${PARTS} .page=${page}></pbm-sync>`
      : html`<pbm-run-detail exportparts=${PARTS} .page=${page}></pbm-run-detail>`,
  logs: (page) => html`<pbm-logs exportparts=${PARTS} .page=${page}></pbm-logs>`,
  customer: (page) => html`<pbm-customer exportparts=${PARTS} .page=${page}></pbm-customer>`,
  reconciliation: (page) => html`<pbm-reconciliation exportparts=${PARTS} .page=${page}></pbm-reconciliation>`,
};
