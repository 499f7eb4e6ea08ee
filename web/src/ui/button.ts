// A button that says what it does, and stays where it is while that happens.

import { html, nothing, type TemplateResult } from 'lit';
import { ifDefined } from 'lit/directives/if-defined.js';
import { type Icon, icon } from './icons.ts';

export interface ButtonOptions {
  readonly label: string;
  readonly onPress: (event: Event) => void;
  readonly kind?: 'primary' | 'danger' | 'plain' | 'usual';
  readonly icon?: Icon;
  /** Show the icon only; the label is the name and names the object ("Delete Active customers"). */
  readonly iconOnly?: boolean;
  /** It is happening: the button stays focusable and ignores presses. */
  readonly busy?: boolean;
  readonly id?: string;
  readonly type?: 'button' | 'submit';
  readonly expanded?: boolean;
}

export function button(options: ButtonOptions): TemplateResult {
  const { label, kind = 'usual', iconOnly = false, busy = false } = options;
  const press = (event: Event): void => {
    if (busy) event.preventDefault();
    else options.onPress(event);
  };
  return html`<button
    id=${ifDefined(options.id)}
    type=${options.type ?? 'button'}
    class="${kind} ${iconOnly ? 'icon-only' : ''}"
    part=${kind === 'primary' ? 'button button-primary' : 'button'}
    aria-label=${ifDefined(iconOnly ? label : undefined)}
    title=${ifDefined(iconOnly ? label : undefined)}
    aria-disabled=${ifDefined(busy ? 'true' : undefined)}
    aria-expanded=${ifDefined(options.expanded === undefined ? undefined : options.expanded ? 'true' : 'false')}
    @click=${press}
  >${options.icon ? icon(options.icon) : nothing}${iconOnly ? nothing : label}</button>`;
}
