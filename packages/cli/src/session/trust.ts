import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { isErrno, LktError } from '@lkt/core';
import type { TrustOptions } from '@lkt/image';
import type { PolicyFile, WorkspaceGates } from '@lkt/image/trust';
import type { BuildOptions } from '@lkt/pkg';
import type { Registry } from '@lkt/registry';
import type { SignatureSource, TrustedRoot } from '@lkt/sign';
import { registrySignatures } from '@lkt/sign/registry-signatures';
import type { RegistryFlags } from '../flags/registry.ts';
import type { TrustFlags } from '../flags/trust.ts';
import { trustedRootSetting } from './environment.ts';
import { openRegistries } from './registries.ts';
import type { Session } from './session.ts';

export interface TrustSettings extends RegistryFlags, TrustFlags {
  /** Whether to use only signatures in the store. */
  readonly offline?: boolean;
}

/**
 * Returns the trust policies of flags, environment and workspace, and the sources of signatures:
 * the store, then the registry.
 * @param top directory in which the workspace will be opened
 */
export async function trustOptions(
  session: Session,
  flags: TrustSettings,
  top?: string,
): Promise<TrustOptions & { readonly sources: readonly SignatureSource[] }> {
  const root = await givenRoot(session, flags);
  return {
    policies: async (workspace) => {
      const { trustPolicies } = await import('@lkt/image/trust');
      return trustPolicies(workspace, await givenPolicies(session, flags), root);
    },
    mayHavePolicy: async () => {
      if ((flags.trust ?? []).length > 0 || top === undefined) return true;
      const { mayHavePolicy } = await import('@lkt/image/trust');
      return mayHavePolicy(top);
    },
    root,
    sources: signatureSources(session, flags),
  };
}

/**
 * Reads the trusted root: `--trusted-root`, else `LKT_TRUSTED_ROOT`.
 * @throws LktError CONFIG_INVALID, NOT_FOUND
 */
export async function givenRoot(
  { environment }: Session,
  flags: TrustFlags,
): Promise<TrustedRoot | undefined> {
  const given = flags['trusted-root'];
  const { value, from } = trustedRootSetting(given, environment);
  if (value === '') return undefined;
  const shown = given ?? environment.variables['LKT_TRUSTED_ROOT'] ?? value;
  const text = await readGiven(value, `${from} ${shown}`);
  const { parseTrustedRoot } = await import('@lkt/sign');
  return parseTrustedRoot(text, shown);
}

/**
 * Returns the sources of signatures: the store; unless offline, also mirrors and the registry of
 * the image.
 */
function signatureSources(session: Session, flags: TrustSettings): readonly SignatureSource[] {
  const store: SignatureSource = {
    name: 'the store',
    collect: async (image) => {
      const { storeSignatures } = await import('@lkt/image');
      const found = await session.findStore();
      return found === undefined
        ? { items: [], unreadable: [] }
        : storeSignatures(found).collect(image);
    },
  };
  if (flags.offline === true) return [store];
  let opened: Promise<Registry> | undefined;
  const open = async (): Promise<Registry> => (opened ??= openRegistries(session, flags));
  const { signal } = session;
  const mirrors = registrySignatures(
    'the mirror',
    open,
    (all, domain) => all.mirrors(domain),
    signal,
  );
  const registry = registrySignatures('the registry', open, (itself) => [itself], signal);
  return (flags.mirror ?? []).length === 0 ? [store, registry] : [store, mirrors, registry];
}

/**
 * Returns the build option that rejects external images refused by a policy of the workspace. Reads
 * nothing before the first check.
 */
export function trustRequirement(
  session: Session,
  flags: TrustSettings,
): Pick<BuildOptions, 'requireTrusted'> {
  let opened: Promise<WorkspaceGates> | undefined;
  const open = async (): Promise<WorkspaceGates> => {
    const gates = await import('@lkt/image/trust');
    const { policies, sources } = await trustOptions(session, flags);
    return new gates.WorkspaceGates(
      async (workspace) => (await policies?.(workspace)) ?? [],
      sources,
      session.signal,
    );
  };
  return {
    requireTrusted: async (image, workspace) =>
      (await (opened ??= open())).problem(image, workspace),
  };
}

/** Reads the files of `--trust`. */
async function givenPolicies(
  session: Session,
  { trust = [] }: TrustFlags,
): Promise<readonly PolicyFile[]> {
  const files: PolicyFile[] = [];
  for (const path of trust) {
    const absolute = resolve(session.environment.cwd, path);
    const text = await readGiven(absolute, `--trust ${path}`);
    files.push({ path, text, dir: dirname(absolute) });
  }
  return files;
}

async function readGiven(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    if (!isErrno(cause, 'ENOENT', 'ENOTDIR', 'EISDIR', 'EACCES')) throw cause;
    throw new LktError('NOT_FOUND', `cannot read ${what}`, { cause });
  }
}
