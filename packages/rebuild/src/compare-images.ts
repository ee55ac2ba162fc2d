import { availableParallelism, hostname, release } from 'node:os';
import { type Descriptor, loadImage, type Platform, type Store } from '@lkt/oci';
import type { BuildFacts } from './classify-text.ts';
import { fileDifferences } from './file-differences.ts';
import { diffLayers } from './layer-diff.ts';
import type { CheckReport, StepDifference } from './report.ts';

/** Compares two images without knowledge of the steps that made their layers. */
export async function compareImages(
  first: Descriptor,
  second: Descriptor,
  { store, signal }: { readonly store: Store; readonly signal?: AbortSignal | undefined },
): Promise<CheckReport> {
  const reproducible = first.digest === second.digest;
  return {
    reproducible,
    first: first.digest,
    second: second.digest,
    differences: reproducible ? [] : await differences(store, first, second, signal),
    marks: [],
    notes: [],
  };
}

async function differences(
  store: Store,
  first: Descriptor,
  second: Descriptor,
  signal: AbortSignal | undefined,
): Promise<readonly StepDifference[]> {
  const platform: Platform = first.platform ?? { os: 'linux', architecture: 'amd64' };
  const [a, b] = [
    await loadImage(store, first.digest, platform),
    await loadImage(store, second.digest, platform),
  ];
  const facts = machineFacts();
  const found: StepDifference[] = [];
  for (const [index, layer] of a.manifest.layers.entries()) {
    const other = b.manifest.layers[index];
    if (other === undefined || other.digest === layer.digest) continue;
    const { entries, more } = await diffLayers(store, layer, other, signal);
    found.push({ reachesImage: true, files: fileDifferences(entries, facts), more });
  }
  return found;
}

/** Returns the facts about two builds in this environment now, by an unknown command. */
export function machineFacts(): BuildFacts {
  return {
    now: Math.floor(Date.now() / 1000),
    command: '',
    processors: [availableParallelism(), availableParallelism()],
    hostnames: [hostname()],
    kernel: release(),
  };
}
