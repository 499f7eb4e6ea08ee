// The Trend panel: members and opt-outs day by day.

export const trend = {
  title: 'Trend',
  between: (first: string, last: string) => `From ${first} to ${last}`,
  members: 'Subscribed members',
  from: (first: string, last: string, change: string) => `${first}, now ${last} (${change})`,
  added: 'Added',
  optedOut: 'Opted out',
  span: (least: string, most: string) => `The line lies between ${least} and ${most} members. Bars are opt-outs.`,
  table: 'The numbers, day by day',
  columns: { date: 'Day', members: 'Members', customers: 'Customers', added: 'Added', optedOut: 'Opted out' },
  unknown: '–',
};
