import { resolve } from 'node:path';
import type { EngineKind } from '../../engine/engine.ts';
import {
  GCP_GROUP_SETTINGS,
  GCP_SETTINGS,
  type GcpGroupSettings,
  type GcpSettings,
} from './settings.ts';

/** Groups that Google keeps: managed instance groups. */
export const gcp: EngineKind<GcpSettings, GcpGroupSettings> = {
  kind: 'gcp',
  about: 'managed instance groups of Compute Engine, whose nodes Google replaces',
  bootsFromDisk: true,
  settings: GCP_SETTINGS,
  groupSettings: GCP_GROUP_SETTINGS,
  place: ({ project, location, endpoint = null }) => ({ project, location, endpoint }),
  neededSettings: 'gcp: { machineType: e2-small }',
  openEngine: async (settings, { dir, variables }) => {
    const { GcpEngine } = await import('./engine.ts');
    const { credentialsFile } = settings;
    const file = credentialsFile === undefined ? undefined : resolve(dir, credentialsFile);
    return new GcpEngine(settings, { credentialsFile: file, variables });
  },
};
