// The contract with the host, as types. docs/page.md says it in words.

export type View = 'overview' | 'segments' | 'sync' | 'logs' | 'customer' | 'reconciliation';

export type GetToken = (how: { refresh: boolean }) => string | Promise<string>;

export interface PracBillMailchimpElement extends HTMLElement {
  department: string;
  api: string;
  view: View;
  item: string | null;
  theme: 'auto' | 'light' | 'dark';
  lang: string;
  getToken: GetToken | undefined;
  texts: object | undefined;
  /** Before you show something else: asks where that would lose what was typed. False: somebody wants to stay. */
  mayLeave(): Promise<boolean>;
}

/** The look-up of one customer, for PracBill's own page of that customer. */
export interface PracBillMailchimpCustomerElement extends HTMLElement {
  department: string;
  api: string;
  customer: string;
  theme: 'auto' | 'light' | 'dark';
  lang: string;
  getToken: GetToken | undefined;
  texts: object | undefined;
}

export interface PracBillMailchimpEventMap {
  'pbm-ready': CustomEvent<null>;
  'pbm-view': CustomEvent<{ view: View; id: string | null }>;
  'pbm-connected': CustomEvent<null>;
  'pbm-disconnected': CustomEvent<null>;
  'pbm-segment-saved': CustomEvent<{ id: string }>;
  'pbm-segment-deleted': CustomEvent<{ id: string }>;
  'pbm-sync-started': CustomEvent<{ run: string }>;
  'pbm-sync-finished': CustomEvent<{ run: string; status: string }>;
  'pbm-open-customer': CustomEvent<{ id: string }>;
  'pbm-signed-out': CustomEvent<null>;
  'pbm-failed': CustomEvent<{ code: string }>;
}

declare global {
  interface HTMLElementTagNameMap {
    'pracbill-mailchimp': PracBillMailchimpElement;
    'pracbill-mailchimp-customer': PracBillMailchimpCustomerElement;
  }
  interface HTMLElementEventMap extends PracBillMailchimpEventMap {}
}
