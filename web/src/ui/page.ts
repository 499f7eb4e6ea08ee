// What every panel is given: the service, the words, what is known, and what it may ask of the page.

import type { Client } from '../api/client.ts';
import type { Failure } from '../api/failure.ts';
import type { PanelData, Run } from '../api/types.ts';
import type { Access } from '../model/access.ts';
import type { State } from '../model/state.ts';
import type { View } from '../model/views.ts';
import type { Texts } from '../text/en.ts';
import type { Format } from '../text/format.ts';

/** The public events. Ids only, never an address or a name. */
export interface PageEvents {
  'pbm-ready': null;
  'pbm-view': { view: View; id: string | null };
  'pbm-connected': null;
  'pbm-disconnected': null;
  'pbm-segment-saved': { id: string };
  'pbm-segment-deleted': { id: string };
  'pbm-sync-started': { run: string };
  'pbm-sync-finished': { run: string; status: string };
  'pbm-open-customer': { id: string };
  'pbm-signed-out': null;
  'pbm-failed': { code: string };
}

export interface PageActions {
  /** Read everything anew that the page shows first. What is shown stays meanwhile. */
  refresh(): Promise<void>;
  /** Show what the answer to a change has told, before everything is read anew. */
  put(part: Partial<PanelData>): Promise<void>;
  /** Follow a run that has just been started or found, to its end. */
  follow(run: Run): void;
  /** Show a view, of one run, segment or customer where `item` says so. */
  show(view: View, item?: string): void;
  /** Show a customer: in the host where it wants to, else in our look-up. */
  showCustomer(id: string): void;
  /** Tell the host. False: it has cancelled what would follow. */
  tell<Name extends keyof PageEvents>(name: Name, detail: PageEvents[Name]): boolean;
  /** Tell the host that a call failed. */
  failed(failure: Failure): void;
}

/** A new object at every change, so that panels draw themselves again. */
export interface Page {
  readonly client: Client;
  readonly department: string;
  readonly texts: Texts;
  readonly format: Format;
  readonly access: Access;
  readonly state: State<PanelData>;
  /** The newest run as last seen, active or not. */
  readonly run: Run | null;
  /** Whether the last look at the active run failed: its figures may be out of date. */
  readonly runFailure: Failure | null;
  /** What the view shows: the id of a run, a segment or a customer. */
  readonly item: string | null;
  readonly actions: PageActions;
}
