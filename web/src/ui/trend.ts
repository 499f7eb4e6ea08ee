// A line over bars. The table beside it has all the numbers, so readers need not hear it.

import { html, svg, type TemplateResult } from 'lit';
import type { Trend } from '../model/trend.ts';

const [WIDTH, HEIGHT, BARS, BAR] = [1000, 200, 60, 6];

export function trendLine({ line, bars }: Trend): TemplateResult {
  const points = line.map(({ x, y }) => `${(x * WIDTH).toFixed(1)},${(y * HEIGHT).toFixed(1)}`).join(' ');
  return html`<svg class="trend" viewBox="-10 -10 ${WIDTH + 20} ${HEIGHT + BARS + 20}" preserveAspectRatio="none" aria-hidden="true" focusable="false">
    ${bars.map(
      ({ x, height }) =>
        svg`<rect class="out" x=${x * WIDTH - BAR / 2} y=${HEIGHT + BARS * (1 - height)} width=${BAR} height=${BARS * height}></rect>`,
    )}
    <polyline points=${points} vector-effect="non-scaling-stroke"></polyline>
  </svg>`;
}
