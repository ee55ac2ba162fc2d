import { parseReference } from '@lkt/oci';
import type { BuildOptions, Workspace } from '@lkt/pkg';
import type { LoadedConfig } from '../config/load-config.ts';
import { queriesOf } from '../queries.ts';
import {
  configPolicies,
  requirePolicy,
  trustCheck,
  trustGate,
  type TrustOptions,
} from '../trust/check-images.ts';

/** Configs whose external images are verified before they are pinned. */
export interface VerifiedConfigs {
  readonly loaded: readonly LoadedConfig[];
  /** Pinned references of external images, by the reference as written. */
  readonly others: ReadonlyMap<string, string>;
  /** Without it, nothing is verified. */
  readonly trust?: TrustOptions | undefined;
  /** Fail if no trust policy applies to the configs. */
  readonly requirePolicy?: boolean | undefined;
}

/**
 * Verifies the external images that configs name, and returns build options that verify those of
 * packages.
 * @throws POLICY_MISSING; SIGNATURE_INVALID, NOT_FOUND at the reference
 */
export async function verifiedTools(
  workspace: Workspace,
  { loaded, others, trust, requirePolicy: isPolicyRequired = false }: VerifiedConfigs,
  options: BuildOptions,
): Promise<BuildOptions> {
  if (trust === undefined) return options;
  let tools = options;
  for (const one of loaded) {
    const policies = await configPolicies(one, trust);
    if (isPolicyRequired) requirePolicy(policies, one);
    const check = await trustCheck(workspace, policies, options.store, { ...options, trust });
    const pinned = queriesOf(one).queries.flatMap((query) => {
      const text = others.get(query.text);
      const reference = text === undefined ? query.reference : parseReference(text);
      return reference?.digest === undefined ? [] : [{ ...query, reference }];
    });
    await check?.requireSigned(pinned, options.reporter);
    tools = { ...tools, requireTrusted: trustGate(check, tools) };
  }
  return tools;
}
