// Short names for the shapes of the API that panels speak of.

import type { components } from './schema.d.ts';

type Schemas = components['schemas'];

export type Connection = Schemas['ConnectionStatus'];
export type Finding = Schemas['Finding'];
export type Audience = Schemas['AudienceOverview'];
export type Settings = Schemas['SettingsView'];
/** What of the settings is to change. */
export type SettingsChange = Schemas['SettingsBody'];
export type Run = Schemas['RunView'];
export type Segment = Schemas['SegmentView'];
export type LogEntry = Schemas['LogEntryView'];
export type AudienceList = Schemas['AudienceList'];
export type Customer = Schemas['CustomerView'];
export type FoundCustomer = Schemas['FoundCustomer'];
export type FoundCustomers = Schemas['FoundCustomers'];
export type LedgerEntry = Schemas['LedgerEntryView'];
export type NewAudience = Schemas['NewAudienceBody'];
export type History = Schemas['History'];
export type Reconciliation = Schemas['Reconciliation'];
export type RunRecord = Schemas['RecordView'];
export type SegmentFields = Schemas['SegmentFields'];
export type SegmentField = Schemas['SegmentField'];
export type SegmentPreview = Schemas['SegmentPreview'];
export type SegmentVerdict = Schemas['SegmentVerdict'];
export type SegmentTemplate = Schemas['SegmentTemplate'];
/** Everything the page shows first, in one answer. */
export type PanelData = Schemas['Panel'];
