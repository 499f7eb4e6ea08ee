// Colours, sizes and the look of plain controls. The host sets --pbm-…; inside only --_… is used.

import { css } from 'lit';

/** For the public elements, which every panel lies in. */
export const hostTokens = css`
  :host {
    display: block;
    inline-size: 100%;
    min-inline-size: 0;
    container-type: inline-size;
    color-scheme: light dark;
  }
  :host([hidden]) { display: none; }
  :host([theme='light']) { color-scheme: light; }
  :host([theme='dark']) { color-scheme: dark; }
  /* A host's own * {…} beats :host, so what is inherited is set on this wrapper. */
  .root {
    --_accent: var(--pbm-accent, light-dark(#1d5ea8, #8cbcf5));
    --_on-accent: var(--pbm-on-accent, light-dark(#ffffff, #0b1a2c));
    --_surface: var(--pbm-surface, light-dark(#ffffff, #16191d));
    --_raised: var(--pbm-surface-raised, light-dark(#f5f6f8, #1f242a));
    --_text: var(--pbm-text, light-dark(#1a1f26, #e8ebef));
    --_quiet: var(--pbm-text-quiet, light-dark(#535e6b, #a9b3bf));
    --_line: var(--pbm-line, light-dark(#d6dae0, #38404a));
    --_control-line: var(--pbm-control-line, light-dark(#77818d, #8590a0));
    --_good: var(--pbm-good, light-dark(#166534, #7fd6a0));
    --_warn: var(--pbm-warn, light-dark(#8a4b00, #f2bd72));
    --_bad: var(--pbm-bad, light-dark(#b42318, #ff9d94));
    --_radius: var(--pbm-radius, 0.375em);
    --_space: var(--pbm-space, 1em);
    background: var(--_surface);
    color: var(--_text);
    font: normal 400 var(--pbm-font-size, 16px) / 1.5 var(--pbm-font, system-ui, sans-serif);
    letter-spacing: normal;
    word-spacing: normal;
    text-transform: none;
    text-align: start;
    text-indent: 0;
    text-shadow: none;
    white-space: normal;
    visibility: visible;
    cursor: auto;
    overflow-wrap: anywhere;
  }
`;

/** For every root: ours, a panel's, a dialog's. */
export const shared = css`
  *, *::before, *::after { box-sizing: border-box; }
  h2, h3, h4 { margin: 0; line-height: 1.25; font-weight: 700; }
  h2 { font-size: 1.25em; }
  h3 { font-size: 1.125em; }
  h4 { font-size: 1em; }
  p, dl, ul, ol { margin: 0; }
  a { color: var(--_accent); }
  code { font-family: ui-monospace, monospace; font-size: 0.95em; }
  .quiet { color: var(--_quiet); font-size: 0.875em; }
  .good { color: var(--_good); }
  .warn { color: var(--_warn); }
  .bad { color: var(--_bad); }
  .strong { font-weight: 600; }
  .icon {
    inline-size: 1.25em; block-size: 1.25em; flex: none; vertical-align: -0.25em;
    fill: none; stroke: currentColor; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round;
  }
  .unseen {
    position: absolute; inline-size: 1px; block-size: 1px; margin: -1px; padding: 0;
    overflow: hidden; clip-path: inset(50%); white-space: nowrap; border: 0;
  }
  .row { display: flex; flex-wrap: wrap; align-items: center; gap: 0.625em; }
  .stack { display: grid; gap: var(--_space); grid-template-columns: minmax(0, 1fr); justify-items: start; }
  .stack > * { inline-size: 100%; min-inline-size: 0; }
  .raised { background: var(--_raised); border-radius: var(--_radius); padding: 0.75em; }
  .sideways { overflow-x: auto; }

  button, .button {
    display: inline-flex; align-items: center; justify-content: center; gap: 0.5em;
    min-block-size: 2.5em; min-inline-size: 2.5em; padding: 0.4em 0.85em;
    border: 1px solid var(--_control-line); border-radius: var(--_radius);
    background: var(--_surface); color: var(--_text);
    font: inherit; font-weight: 600; line-height: 1.2; text-decoration: none; cursor: pointer;
  }
  button.primary { background: var(--_accent); border-color: var(--_accent); color: var(--_on-accent); }
  button.danger { border-color: var(--_bad); color: var(--_bad); }
  button.plain { justify-content: start; border-color: transparent; background: none; color: var(--_accent); padding-inline: 0.25em; text-align: start; }
  button.icon-only { padding: 0; }
  button[aria-disabled='true'] { opacity: 0.65; cursor: progress; }
  button:hover:not([aria-disabled='true']) { filter: brightness(0.95); }

  :focus { outline: none; }
  :focus-visible { outline: 3px solid var(--_accent); outline-offset: 2px; }
  [tabindex='-1']:focus-visible { outline-offset: 4px; border-radius: 2px; }

  .field { display: grid; gap: 0.25em; grid-template-columns: minmax(0, 1fr); align-content: start; }
  .field > label, legend { font-size: 0.875em; font-weight: 600; padding: 0; }
  fieldset { border: 0; margin: 0; padding: 0; min-inline-size: 0; }
  input:not([type='checkbox'], [type='radio']), select, textarea {
    inline-size: 100%; min-block-size: 2.5em; padding: 0.4em 0.5em;
    border: 1px solid var(--_control-line); border-radius: var(--_radius);
    background: var(--_surface); color: var(--_text); font: inherit;
  }
  input[aria-invalid='true'], select[aria-invalid='true'] { border-color: var(--_bad); border-width: 2px; }
  input[type='checkbox'], input[type='radio'] { inline-size: 1.25em; block-size: 1.25em; accent-color: var(--_accent); margin: 0; }
  .choice { display: flex; gap: 0.625em; align-items: flex-start; min-block-size: 2.5em; padding-block: 0.5em; }
  .choice input { flex: none; margin-block-start: 0.1em; }
  .field-error { color: var(--_bad); font-size: 0.875em; display: flex; gap: 0.4em; }

  .notice { display: flex; gap: 0.625em; padding: 0.75em; border-radius: var(--_radius); background: var(--_raised); border-inline-start: 4px solid currentColor; }
  .notice > div { display: grid; gap: 0.375em; min-inline-size: 0; flex: 1; justify-items: start; }
  .notice .words, .notice .fix { color: var(--_text); }

  /* A column is at least as wide as its longest word; where that is too much, the box scrolls. */
  table { inline-size: 100%; border-collapse: collapse; overflow-wrap: break-word; }
  th { text-align: start; font-size: 0.875em; font-weight: 600; color: var(--_quiet); padding: 0.5em; border-block-end: 1px solid var(--_line); }
  td { padding: 0.5em; border-block-end: 1px solid var(--_line); vertical-align: top; }
  .anywhere { overflow-wrap: anywhere; }
  .number { text-align: end; white-space: nowrap; font-variant-numeric: tabular-nums; }

  progress {
    appearance: none; inline-size: 100%; block-size: 0.75em; border: 1px solid var(--_control-line);
    border-radius: 1em; overflow: hidden; background: var(--_surface);
  }
  progress::-webkit-progress-bar { background: var(--_surface); }
  progress::-webkit-progress-value { background: var(--_accent); }
  progress::-moz-progress-bar { background: var(--_accent); }
  progress:indeterminate { background: linear-gradient(90deg, var(--_surface) 30%, var(--_accent) 30% 70%, var(--_surface) 70%); background-size: 200% 100%; }
  progress:indeterminate::-webkit-progress-bar { background: none; }
  progress:indeterminate::-moz-progress-bar { background: none; }

  @media (prefers-reduced-motion: no-preference) {
    progress:indeterminate { animation: along 1.6s linear infinite; }
    @keyframes along { from { background-position: 200% 0; } to { background-position: 0 0; } }
  }
  @media (forced-colors: active) {
    .notice, .raised { border: 1px solid CanvasText; }
    button.primary { border-width: 2px; }
    progress::-webkit-progress-value { background: Highlight; }
    progress { forced-color-adjust: none; background: Canvas; border-color: CanvasText; }
  }
`;
