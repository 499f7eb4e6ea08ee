// The Reconciliation panel: PracBill's count against Mailchimp's.

export const reconciliation = {
  title: 'Reconciliation',
  intro: 'Why PracBill’s number of customers and Mailchimp’s number of subscribed members differ.',
  notConnected: 'Connect the department to Mailchimp and choose an audience first.',
  same: 'Both counts are the same.',
  differ: (difference: string) => `The counts differ by ${difference}. Each part has its reason below.`,
  asOf: 'The reasons are as of',
  columns: { what: 'Reason', count: 'Number', bar: 'Share' },
  caption: 'From PracBill to Mailchimp',
  pracbill: 'Customers in PracBill',
  mailchimp: 'Subscribed members in Mailchimp',
  records: 'Show the last sync',
};
