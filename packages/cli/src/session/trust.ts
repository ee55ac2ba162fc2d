import { readFile, realpath } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { isErrno, LktError } from '@lkt/core';
import type { TrustGate, TrustOptions } from '@lkt/image';
import type { BuildOptions, Workspace } from '@lkt/pkg';
import type { Registry, RegistryReader } from '@lkt/registry';
import type { CollectedSignatures, SignatureSource, TrustedRoot, TrustPolicy } from '@lkt/sign';
import type { Session } from './session.ts';
import { trustedRootSetting } from './environment.ts';
import { openRegistries } from './registries.ts';
import type { RegistryFlags } from '../flags/registry.ts';
import type { TrustFlags } from '../flags/trust.ts';

export interface TrustSettings extends RegistryFlags, TrustFlags {
  /** Believe what the store has, and ask nobody. */
  readonly offline?: boolean;
}

/**
 * Who is trusted as flags, environment and the workspace say, and where signatures are: the store, then the registry.
 * @param top where the workspace will be opened
 */
export async function trustOptions(
  session: Session,
  flags: TrustSettings,
  top?: string,
): Promise<TrustOptions & { readonly sources: readonly SignatureSource[] }> {
  const root = await givenRoot(session, flags);
  return {
    policies: async (workspace) => trustPolicies(session, flags, workspace, root),
    mayAsk: async () => (flags.trust ?? []).length > 0 || top === undefined || mayHavePolicy(top),
    root,
    sources: evidenceSources(session, flags),
  };
}

/**
 * The policies for all of a workspace: its `trust.yml`, and those of `--trust`. None takes anything from another.
 * @throws LktError CONFIG_INVALID, NOT_FOUND
 */
async function trustPolicies(
  session: Session,
  flags: TrustFlags,
  workspace: Workspace | undefined,
  root: TrustedRoot | undefined,
): Promise<readonly TrustPolicy[]> {
  const path = workspace === undefined ? undefined : await findPolicy(workspace);
  // Most workspaces have none; then there is nothing to load.
  if (path === undefined && (flags.trust ?? []).length === 0) return [];
  const { readTrustFile, workspacePolicy } = await import('@lkt/image');
  const policies: TrustPolicy[] = [];
  if (workspace !== undefined && path !== undefined) {
    const shown = workspace.displayPath(path);
    const own = await workspacePolicy(workspace.root, shown, root);
    if (own !== undefined) policies.push(own);
  }
  for (const given of flags.trust ?? []) {
    const absolute = resolve(session.environment.cwd, given);
    const text = await readGiven(absolute, `--trust ${given}`);
    policies.push(await readTrustFile({ path: given, text }, dirname(absolute), root));
  }
  return policies;
}

/** The root of a workspace is where it is opened, or above. */
async function mayHavePolicy(top: string): Promise<boolean> {
  const { findTrustFile } = await import('@lkt/pkg');
  try {
    for (let dir = await realpath(top); ; dir = dirname(dir)) {
      if ((await findTrustFile(dir)) !== undefined) return true;
      if (dir === dirname(dir)) return false;
    }
  } catch {
    // Whoever opens the workspace finds out.
    return true;
  }
}

async function findPolicy({ root }: Workspace): Promise<string | undefined> {
  const { findTrustFile } = await import('@lkt/pkg');
  return findTrustFile(root);
}

/** `--trusted-root`, else `LKT_TRUSTED_ROOT`. @throws LktError CONFIG_INVALID, NOT_FOUND */
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

/** The store, and unless that is all, mirrors and the registry of an image. */
function evidenceSources(session: Session, flags: TrustSettings): readonly SignatureSource[] {
  const store: SignatureSource = {
    name: 'the store',
    collect: async (image) => {
      const { storeEvidence } = await import('@lkt/image');
      const found = await session.findStore();
      return found === undefined
        ? { items: [], unreadable: [] }
        : storeEvidence(found).collect(image);
    },
  };
  if (flags.offline === true) return [store];
  let opened: Promise<Registry> | undefined;
  const from = (
    name: string,
    readers: (registry: Registry, domain: string) => readonly RegistryReader[],
  ): SignatureSource => ({
    name,
    collect: async (image) => {
      const { collectFromRegistry } = await import('@lkt/sign');
      opened ??= openRegistries(session, flags);
      const found: CollectedSignatures[] = [];
      for (const reader of readers(await opened, image.domain))
        found.push(await collectFromRegistry(reader, image, session.signal));
      return {
        items: found.flatMap(({ items }) => items),
        unreadable: found.flatMap(({ unreadable }) => unreadable),
      };
    },
  });
  const mirrors = from('the mirror', (registry, domain) => registry.mirrors(domain));
  const registry = from('the registry', (itself) => [itself]);
  return (flags.mirror ?? []).length === 0 ? [store, registry] : [store, mirrors, registry];
}

/** Lets builds use no image from elsewhere that a policy of the workspace refuses. Reads nothing before there is one. */
export function trustRequirement(
  session: Session,
  flags: TrustSettings,
): Pick<BuildOptions, 'requireTrusted'> {
  const gates = new Map<Workspace, Promise<TrustGate | undefined>>();
  return {
    requireTrusted: async (image, workspace) => {
      let gate = gates.get(workspace);
      if (gate === undefined) {
        gate = openGate(session, flags, workspace);
        gates.set(workspace, gate);
      }
      return (await gate)?.problem(image);
    },
  };
}

async function openGate(
  session: Session,
  flags: TrustSettings,
  workspace: Workspace,
): Promise<TrustGate | undefined> {
  const { policies, sources } = await trustOptions(session, flags);
  const found = (await policies?.(workspace)) ?? [];
  if (found.length === 0) return undefined;
  const { TrustGate } = await import('@lkt/image');
  return new TrustGate(found, sources, session.signal);
}

async function readGiven(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    if (!isErrno(cause, 'ENOENT', 'ENOTDIR', 'EISDIR', 'EACCES')) throw cause;
    throw new LktError('NOT_FOUND', `${what} cannot be read`, { cause });
  }
}
