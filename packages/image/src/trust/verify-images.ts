import { mapConcurrent, uniqueBy } from '@lkt/core';
import { familiarReference } from '@lkt/oci';
import { type BuildOptions, isBuiltHere, type Workspace } from '@lkt/pkg';
import type { NamedImage, TrustPolicy } from '@lkt/sign';
import { type ConfigFile, loadConfig, type LoadOptions } from '../config/load-config.ts';
import { queriesOf } from '../queries.ts';
import { configPolicies, type TrustOptions } from './check-images.ts';
import { IMAGES_AT_ONCE, TrustCheck } from './trust-check.ts';
import { CollectionPolicies } from './collection-policy.ts';
import { type ImageReport, reportOf } from './image-report.ts';
import { storeSignatures, TrustGate } from './trust-gate.ts';

/**
 * Returns the policies that apply to configs, as {@link verifyConfigs} evaluates them.
 * @throws LktError CONFIG_INVALID, IO_FAILED
 */
export async function policiesOfConfigs(
  configs: readonly ConfigFile[],
  trust: TrustOptions,
  values: LoadOptions = {},
): Promise<readonly TrustPolicy[]> {
  return configPolicies(await loadConfig(configs, values), trust);
}

/**
 * Evaluates policies for every image that configs pin, like `buildImage` but without building or
 * pulling. Skips packages named by directory, since they are built here.
 * @param only replaces all other policies, and then local builds need signatures as well
 * @returns undefined without a policy
 * @throws LktError PIN_MISSING at a reference without a digest, and errors of reading configs and
 * policies
 */
export async function verifyConfigs(
  workspace: Workspace,
  configs: readonly ConfigFile[],
  tools: BuildOptions,
  trust: TrustOptions,
  only?: TrustPolicy,
  values: LoadOptions = {},
): Promise<readonly ImageReport[] | undefined> {
  const loaded = await loadConfig(configs, values);
  const { queries } = queriesOf(loaded);
  const { signal, store } = tools;
  const evaluation = { signal, readAll: trust.listAll };
  const policies = only === undefined ? await configPolicies(loaded, trust) : [only];
  const { sources = [storeSignatures(store)] } = trust;
  // A policy of the command line replaces all others.
  const collections =
    only === undefined
      ? new CollectionPolicies(workspace, trust.root)
      : { of: async () => undefined };
  const gate = new TrustGate(policies, sources, evaluation);
  const check = new TrustCheck(workspace, gate, collections, { store });
  // Local builds need no signature, so only the store is searched.
  const here = new TrustGate(policies, [storeSignatures(store)], evaluation);
  const images = uniqueBy(
    queries.flatMap((query) => check.pinned(query) ?? []),
    familiarReference,
  );
  const reportFor = async (image: NamedImage): Promise<ImageReport> => {
    const isHere = only === undefined && (await isBuiltHere(workspace, image, tools));
    const result = await check.evaluate(image, isHere ? here : gate);
    const report = { ...reportOf(result), reference: familiarReference(image) };
    return isHere && !report.accepted ? builtHere(report) : report;
  };
  const covered = await Promise.all(
    images.map(async (image) => collections.of(workspace.find(image))),
  );
  if (policies.length === 0 && covered.every((own) => own === undefined)) return undefined;
  return mapConcurrent(images, reportFor, { concurrency: IMAGES_AT_ONCE, signal });
}

function builtHere(report: ImageReport): ImageReport {
  return { ...report, accepted: true, because: 'built here', reasons: [] };
}
