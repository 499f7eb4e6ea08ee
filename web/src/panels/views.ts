// Which panels a view shows, in their order. A view without panels has no tab.

import { html, type TemplateResult } from 'lit';
import type { View } from '../model/views.ts';
import type { Page } from '../ui/page.ts';
import './connection.ts';

const PARTS = 'panel, button, button-primary';

type Panels = Partial<Record<View, (page: Page) => TemplateResult>>;

export const PANELS: Panels = {
  overview: (page) => html`<pbm-connection exportparts=${PARTS} .page=${page}></pbm-connection>`,
};
