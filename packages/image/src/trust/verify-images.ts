import { mapConcurrent, uniqueBy } from '@lkt/core';
import { familiarReference } from '@lkt/oci';
import { type BuildOptions, isBuiltHere, type Workspace } from '@lkt/pkg';
import type { NamedImage, TrustPolicy } from '@lkt/sign';
import { type ConfigFile, loadConfig, type LoadOptions } from '../config/load-config.ts';
import { queriesOf } from '../queries.ts';
import {
  configPolicies,
  TrustCheck,
  IMAGES_AT_ONCE,
  trustCheck,
  type TrustOptions,
} from './check-images.ts';
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
  const options = { trust, signal };
  const evaluation = { signal, readAll: trust.listAll };
  const check =
    only === undefined
      ? trustCheck(workspace, await configPolicies(loaded, trust), store, options)
      : new TrustCheck(workspace, new TrustGate([only], trust.sources ?? [], evaluation), {
          store,
        });
  if (check === undefined) return undefined;
  // Local builds need no signature, so only the store is searched.
  const here = new TrustGate(check.gate.policies, [storeSignatures(store)], evaluation);
  const images = uniqueBy(
    queries.flatMap((query) => check.pinned(query) ?? []),
    familiarReference,
  );
  const reportFor = async (image: NamedImage): Promise<ImageReport> => {
    const isHere = only === undefined && (await isBuiltHere(workspace, image, tools));
    const report = reportOf(await (isHere ? here : check.gate).evaluate(image));
    return isHere && !report.accepted ? builtHere(report) : report;
  };
  return mapConcurrent(images, reportFor, { concurrency: IMAGES_AT_ONCE, signal });
}

function builtHere(report: ImageReport): ImageReport {
  return { ...report, accepted: true, because: 'built here', reasons: [] };
}
