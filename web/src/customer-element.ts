// <pracbill-mailchimp-customer>: the look-up of one customer, for PracBill's own page of that customer.

import { html, type TemplateResult } from 'lit';
import { property } from 'lit/decorators.js';
import './panels/customer.ts';
import { element } from './ui/define.ts';
import { PageElement } from './ui/element.ts';
import type { Page, PageActions } from './ui/page.ts';

@element('pracbill-mailchimp-customer')
export class PracBillMailchimpCustomer extends PageElement {
  /** The id of the customer in PracBill. */
  @property({ reflect: true }) customer = '';

  protected override get shown(): Pick<Page, 'run' | 'runFailure' | 'item'> {
    return { run: null, runFailure: null, item: this.customer || null };
  }

  protected override panels(page: Page): TemplateResult {
    return html`<pbm-customer alone exportparts="panel, button, button-primary" .page=${page}></pbm-customer>`;
  }

  protected override readonly actions: PageActions = {
    refresh: async () => void (await this.refresh()),
    put: (part) => this.put(part),
    follow: () => undefined,
    show: () => undefined,
    showCustomer: (id) => {
      if (this.tell('pbm-open-customer', { id })) this.customer = id;
    },
    tell: (name, detail) => this.tell(name, detail),
    failed: (failure) => void this.tell('pbm-failed', { code: failure.code }),
  };
}

declare global {
  interface HTMLElementTagNameMap {
    'pracbill-mailchimp-customer': PracBillMailchimpCustomer;
  }
}
