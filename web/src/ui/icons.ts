// Signs as SVG, drawn in the colour of the words beside them. A sign never stands alone: its word or name is near.

import { html, type SVGTemplateResult, svg, type TemplateResult } from 'lit';

const SHAPES = {
  check: svg`<path d="M4 12.5l5 5L20 6.5"/>`,
  cross: svg`<path d="M6 6l12 12M18 6L6 18"/>`,
  skip: svg`<path d="M5 5l8 7-8 7zM18 5v14"/>`,
  warning: svg`<path d="M12 3.5L22 20.5H2zM12 10v5M12 17.6v.2"/>`,
  info: svg`<circle cx="12" cy="12" r="9"/><path d="M12 11v6M12 7.4v.2"/>`,
  clock: svg`<circle cx="12" cy="12" r="9"/><path d="M12 7v5l3.5 2"/>`,
  plus: svg`<path d="M12 5v14M5 12h14"/>`,
  pencil: svg`<path d="M4 20l1-4.5L16.5 4 20 7.5 8.5 19z"/>`,
  bin: svg`<path d="M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5"/>`,
  key: svg`<circle cx="8" cy="15" r="4"/><path d="M11 12l8-8M16 7l3 3"/>`,
  again: svg`<path d="M20 11a8 8 0 10-2 6.5M20 4v7h-7"/>`,
  download: svg`<path d="M12 4v11M7 11l5 5 5-5M5 20h14"/>`,
  search: svg`<circle cx="10.5" cy="10.5" r="6.5"/><path d="M15.5 15.5L21 21"/>`,
  off: svg`<path d="M9 7H7a5 5 0 000 10h2M15 7h2a5 5 0 013 9M4 4l16 16"/>`,
} satisfies Record<string, SVGTemplateResult>;

export type Icon = keyof typeof SHAPES;

export function icon(name: Icon): TemplateResult {
  return html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">${SHAPES[name]}</svg>`;
}
