import { familiarReference } from '@lkt/oci';
import { type BuildOptions, isBuiltHere, type Workspace } from '@lkt/pkg';
import {
  evaluatePolicies,
  type NamedImage,
  type PolicyResult,
  type Rejection,
  type SignatureSource,
  type TrustPolicy,
  type VerifiedSignature,
} from '@lkt/sign';
import { type ConfigFile, loadConfig, type LoadOptions } from '../config/load-config.ts';
import { queriesOf } from '../queries.ts';
import {
  configPolicies,
  TrustCheck,
  trustCheck,
  type TrustedImage,
  type TrustOptions,
} from './check-images.ts';
import { storeSignatures, TrustGate } from './trust-gate.ts';

/** The evaluation of one image. `because` is set if it is accepted. */
export interface ImageReport
  extends Omit<TrustedImage, 'because'>, Partial<Pick<TrustedImage, 'because'>> {
  readonly accepted: boolean;
  /** Empty if accepted. */
  readonly reasons: readonly string[];
  /** Valid signatures and attestations of trusted signers. */
  readonly signatures: readonly VerifiedSignature[];
  /** Signatures that do not count, with reasons. */
  readonly rejections: readonly Rejection[];
}

function reportOf(result: PolicyResult): ImageReport {
  const { image, verdict, signatures, rejections, asked } = result;
  const isSigned = verdict.accepted && verdict.because === 'signed';
  return {
    reference: familiarReference(image),
    digest: image.digest,
    accepted: verdict.accepted,
    because: verdict.accepted ? verdict.because : undefined,
    reasons: verdict.accepted ? [] : verdict.reasons,
    signers: isSigned ? verdict.signers : [],
    rebuilders: isSigned ? verdict.rebuilders : [],
    signatures,
    rejections,
    asked,
  };
}

/**
 * Evaluates one image that the user names. Rejects an image that no rule covers.
 * @param policies at least one
 */
export async function verifyImageReport(
  image: NamedImage,
  policies: readonly TrustPolicy[],
  sources: readonly SignatureSource[],
  signal?: AbortSignal,
): Promise<ImageReport> {
  const report = reportOf(
    await evaluatePolicies(image, policies, sources, { signal, readAll: true }),
  );
  if (report.because !== 'not required') return report;
  const names = policies.map(({ name }) => name).join(', ');
  return {
    ...report,
    because: undefined,
    accepted: false,
    reasons: [`no rule is about it (${names})`],
  };
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
  const check =
    only === undefined
      ? trustCheck(workspace, await configPolicies(loaded, trust), store, options)
      : new TrustCheck(workspace, new TrustGate([only], trust.sources ?? [], signal), { store });
  if (check === undefined) return undefined;
  // Local builds need no signature, so only the store is searched.
  const here = new TrustGate(check.gate.policies, [storeSignatures(store)], signal);
  const reports = new Map<string, ImageReport>();
  for (const query of queries) {
    const image = check.pinned(query);
    if (image === undefined) continue;
    const key = familiarReference(image);
    if (reports.has(key)) continue;
    const isHere = only === undefined && (await isBuiltHere(workspace, image, tools));
    const report = reportOf(await (isHere ? here : check.gate).evaluate(image));
    reports.set(key, isHere && !report.accepted ? builtHere(report) : report);
  }
  return [...reports.values()];
}

function builtHere(report: ImageReport): ImageReport {
  return { ...report, accepted: true, because: 'built here', reasons: [] };
}
