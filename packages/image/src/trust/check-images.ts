import { dirname } from 'node:path';
import { type Digest, LktError } from '@lkt/core';
import type { Store } from '@lkt/oci';
import { type BuildOptions, containingDirs, type Workspace } from '@lkt/pkg';
import type { SignatureSource, SignerId, TrustedRoot, TrustPolicy } from '@lkt/sign';
import type { LoadedConfig } from '../config/load-config.ts';
import type { TrustSettings } from './parse-trust.ts';
import type { TrustCheck } from './trust-check.ts';

/** Trust policies besides those of configs, and sources of signatures. */
export interface TrustOptions {
  /**
   * Returns the policies of the user, and those in and above some directories. Those of the configs
   * are added.
   */
  readonly policies?: (dirs: readonly string[]) => Promise<readonly TrustPolicy[]>;
  /** Trusted root of policies that name none. */
  readonly root?: TrustedRoot | undefined;
  /** Tried in order; default: the store. */
  readonly sources?: readonly SignatureSource[];
  /** Verify and list every signature, instead of stopping at sufficient ones; default false. */
  readonly listAll?: boolean | undefined;
}

/** An accepted image, with the reason. */
export interface TrustedImage {
  readonly reference: string;
  readonly digest: Digest;
  /** `built here`: built from the source of its tag to the pinned digest. */
  readonly because: 'signed' | 'built here' | 'not required';
  readonly signers: readonly SignerId[];
  readonly rebuilders: readonly SignerId[];
  /** Names of the signature sources that were tried, in order. */
  readonly asked: readonly string[];
}

/**
 * Returns the policies that apply to configs: those of the user, every `trust.yml` in and above
 * their directories, and `trust` of the configs. LinuxKit's lists alone make no policy.
 * @throws CONFIG_INVALID, IO_FAILED
 */
export async function configPolicies(
  loaded: LoadedConfig,
  { policies: given, root }: TrustOptions = {},
): Promise<readonly TrustPolicy[]> {
  const policies = [...((await given?.(configDirs(loaded))) ?? [])];
  const { trust } = loaded.config;
  const hasPolicy = policies.length > 0 || trust.some((settings) => !isLinuxkitOnly(settings));
  if (!hasPolicy || trust.length === 0) return policies;
  const { loadPolicy } = await import('./load-policy.ts');
  for (const settings of trust)
    policies.push(await loadPolicy(settings, dirname(loaded.fileOf(settings.at).absolute), root));
  return policies;
}

/** @throws LktError POLICY_MISSING without a policy that requires anything */
export function requirePolicy(policies: readonly TrustPolicy[], { files }: LoadedConfig): void {
  if (policies.some(({ required, rules }) => required.length + rules.length > 0)) return;
  throw new LktError('POLICY_MISSING', `no trust policy applies to ${files[0]?.path}`, {
    fix: 'write a trust.yml above the config, or give --no-policy-found ignore',
  });
}

/**
 * Returns a warning for each `trust` in LinuxKit's form that no policy enforces: LinuxKit ignores
 * it, and it does not say who must sign.
 */
export function trustWarnings(
  { config }: LoadedConfig,
  policies: readonly TrustPolicy[],
): readonly string[] {
  if (policies.length > 0) return [];
  return config.trust.map(({ linuxkit, at }) => {
    const images = linuxkit.map(({ text }) => `'${text}'`).join(', ');
    return `${at.file.path}:${at.position.line}: trust: image and org of LinuxKit do not say who must sign, so nothing is verified; add: signers: [{images: [${images}], keys: [cosign.pub]}]`;
  });
}

/** Reports whether `trust` only has LinuxKit's lists. */
function isLinuxkitOnly({
  required,
  linuxkit,
  unsigned,
  rules,
  trustedRoot,
}: TrustSettings): boolean {
  const own = required.length + unsigned.length + rules.length;
  return linuxkit.length > 0 && own === 0 && trustedRoot === undefined;
}

/**
 * Returns the directories of configs, of each symlink also of all that it leads to. One that was
 * downloaded or read from standard input counts as a file of the current directory.
 */
export function configDirs({ files }: Pick<LoadedConfig, 'files'>): readonly string[] {
  return [...new Set(files.flatMap(({ absolute }) => containingDirs(absolute)))];
}

export interface TrustCheckOptions extends Pick<BuildOptions, 'hasImage'> {
  readonly trust?: TrustOptions;
  readonly signal?: AbortSignal;
}

/** Returns the option that rejects base images which a check or the workspace's policies refuse. */
export function trustGate(
  check: TrustCheck | undefined,
  { requireTrusted }: Pick<BuildOptions, 'requireTrusted'>,
): NonNullable<BuildOptions['requireTrusted']> {
  return async (image, place, item) =>
    (await check?.requireTrusted(image, item)) ?? requireTrusted?.(image, place, item);
}

/** Returns the check for the images of configs; undefined without a policy. */
export async function trustCheck(
  workspace: Workspace,
  policies: readonly TrustPolicy[],
  store: Store,
  options: TrustCheckOptions,
): Promise<TrustCheck | undefined> {
  // Most builds have no policy and need not load the code.
  if (policies.length === 0) return undefined;
  const { policyCheck } = await import('./trust-check.ts');
  return policyCheck(workspace, policies, store, options);
}
