// A bar between two shares of the width. What it shows stands beside it as a number, so readers need not hear it.

import { html, type TemplateResult } from 'lit';

const WIDTH = 1000;

export function bar(from: number, to: number): TemplateResult {
  const width = Math.max((to - from) * WIDTH, 2); // a thin line where it is next to nothing
  return html`<svg class="chart" viewBox="0 0 ${WIDTH} 10" preserveAspectRatio="none" aria-hidden="true" focusable="false">
    <rect x=${Math.min(from * WIDTH, WIDTH - width)} y="0" width=${width} height="10"></rect>
  </svg>`;
}
