// The views of the page, as the host names them.

export const VIEWS = ['overview', 'segments', 'sync', 'logs', 'customer', 'reconciliation'] as const;
export type View = (typeof VIEWS)[number];

/** The view of that name; the first one for a name that is none. */
export function viewNamed(name: string | null | undefined): View {
  return VIEWS.find((view) => view === name) ?? 'overview';
}

/** Where a key leads from a tab, as in every tab list: to its neighbours in a ring, to the first and the last. */
export function tabAfter<T>(tabs: readonly T[], from: T, key: string): T | undefined {
  const place = tabs.indexOf(from);
  const steps: Record<string, number> = {
    ArrowRight: (place + 1) % tabs.length,
    ArrowLeft: (place + tabs.length - 1) % tabs.length,
    Home: 0,
    End: tabs.length - 1,
  };
  const step = steps[key];
  return step === undefined ? undefined : tabs[step];
}
