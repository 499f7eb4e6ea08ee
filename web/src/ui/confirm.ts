// A question before something that cannot be taken back. The harmless button has the first focus; Escape means no.

import { css, html, LitElement, nothing, type TemplateResult } from 'lit';
import { query, state } from 'lit/decorators.js';
import { button } from './button.ts';
import { element } from './define.ts';
import { textField } from './field.ts';
import { shared } from './tokens.ts';

export interface Question {
  readonly title: string;
  readonly body: string | TemplateResult;
  readonly yes: string;
  readonly no: string;
  /** What happens on yes takes something away. */
  readonly danger?: boolean;
  /** Yes only counts once this was typed. */
  readonly typed?: { readonly label: string; readonly text: string; readonly error: string };
}

@element('pbm-confirm')
export class Confirm extends LitElement {
  static override styles = [
    shared,
    css`
      dialog {
        inline-size: min(32em, calc(100vw - 2em)); padding: 1.25em; border: 1px solid var(--_line);
        border-radius: var(--_radius); background: var(--_surface); color: var(--_text); font: inherit;
      }
      dialog::backdrop { background: rgb(0 0 0 / 0.5); }
      form { display: grid; gap: 1em; }
      .row { justify-content: flex-end; }
    `,
  ];

  @state() private question: Question | null = null;
  @state() private typed = '';
  @state() private error = '';
  @query('dialog') private dialog!: HTMLDialogElement;
  #answer: ((yes: boolean) => void) | null = null;

  /** Ask, and answer once somebody has decided. A second question ends the first with no. */
  async ask(question: Question): Promise<boolean> {
    this.#decide(false);
    this.typed = this.error = '';
    this.question = question;
    await this.updateComplete;
    this.dialog.showModal();
    this.renderRoot.querySelector<HTMLElement>('#no')?.focus();
    return new Promise((resolve) => {
      this.#answer = resolve;
    });
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#decide(false);
  }

  protected override render(): TemplateResult | typeof nothing {
    const { question } = this;
    if (question === null) return nothing;
    return html`<dialog aria-labelledby="title" aria-describedby="body" @close=${() => this.#decide(false)}>
      <form method="dialog" @submit=${this.#submit}>
        <h3 id="title">${question.title}</h3>
        <div id="body">${question.body}</div>
        ${
          question.typed
            ? textField({
                id: 'typed',
                label: question.typed.label,
                value: this.typed,
                error: this.error,
                onInput: (value) => {
                  this.typed = value;
                },
              })
            : nothing
        }
        <div class="row">
          ${button({ id: 'no', label: question.no, onPress: () => this.#decide(false) })}
          ${button({
            label: question.yes,
            kind: question.danger ? 'danger' : 'primary',
            type: 'submit',
            onPress: () => {},
          })}
        </div>
      </form>
    </dialog>`;
  }

  #submit(event: Event): void {
    event.preventDefault();
    const wanted = this.question?.typed;
    if (wanted && this.typed.trim() !== wanted.text) {
      this.error = wanted.error;
      void this.updateComplete.then(() => this.renderRoot.querySelector<HTMLElement>('#typed')?.focus());
      return;
    }
    this.#decide(true);
  }

  #decide(yes: boolean): void {
    const answer = this.#answer;
    this.#answer = null;
    if (this.dialog?.open) this.dialog.close(); // gives the focus back to where it was
    answer?.(yes);
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'pbm-confirm': Confirm;
  }
}
