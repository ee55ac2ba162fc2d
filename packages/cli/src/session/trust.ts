import { dirname, resolve } from 'node:path';
import type { TrustOptions } from '@lkt/image';
import type { PolicyFile } from '@lkt/image/trust';
import type { BuildOptions } from '@lkt/pkg';
import type { Registry } from '@lkt/registry';
import type { SignatureSource, TrustedRoot } from '@lkt/sign';
import { signatureSources } from '@lkt/sign/signature-sources';
import type { PullFlags } from '../flags/registry.ts';
import type { TrustFlags } from '../flags/trust.ts';
import { mirrorSetting, trustedRootSetting } from './environment.ts';
import { readGiven, unreadable } from './paths.ts';
import { lazyRegistries } from './registries/registries.ts';
import type { Session } from './session.ts';

/**
 * Returns the trust policies of flags and directories, and the sources of signatures.
 * @param open opens the registries; called only if the flags allow it
 */
export async function trustOptions(
  session: Session,
  flags: PullFlags,
  open: () => Promise<Registry> = lazyRegistries(session, flags),
): Promise<TrustOptions & { readonly sources: readonly SignatureSource[] }> {
  const root = await givenRoot(session, flags);
  const { signal } = session;
  const openRegistry = flags.offline === true ? undefined : open;
  const hasMirrors = mirrorSetting(flags.mirror, session.environment).length > 0;
  return {
    policies: async (dirs) => {
      const { trustPolicies } = await import('@lkt/image/trust');
      const policies = await trustPolicies(
        dirs,
        await givenPolicies(session, flags),
        root,
        session.environment.cwd,
      );
      for (const policy of policies) remindOfUpdate(session, policy.root);
      return policies;
    },
    root,
    sources: signatureSources({
      findStore: async () => session.findStore(),
      openRegistry,
      hasMirrors,
      signal,
    }),
  };
}

/**
 * Reads the trusted root: `--trusted-root`, else `LKT_TRUSTED_ROOT`.
 * @throws LktError CONFIG_INVALID, NOT_FOUND
 */
export async function givenRoot(
  session: Session,
  flags: TrustFlags,
): Promise<TrustedRoot | undefined> {
  const { environment } = session;
  const given = flags['trusted-root'];
  const { value, from } = trustedRootSetting(given, environment);
  if (value === '') return undefined;
  const shown = given ?? environment.variables['LKT_TRUSTED_ROOT'] ?? value;
  const { readTrustedRoot } = await import('@lkt/sign');
  const root = await readTrustedRoot(value, shown).catch(unreadable(`${from} ${shown}`));
  remindOfUpdate(session, root);
  return root;
}

const reminded = new WeakMap<Session, Set<string>>();

/** Warns once if the metadata has expired by which a trusted root was fetched. */
export function remindOfUpdate(session: Session, root: TrustedRoot | undefined): void {
  if (root?.record === undefined || Date.parse(root.record.expires) > Date.now()) return;
  const names = reminded.get(session) ?? new Set();
  reminded.set(session, names);
  if (names.has(root.record.digest)) return;
  names.add(root.record.digest);
  const { fetched, expires } = root.record;
  session.reporter.emit({
    kind: 'warning',
    text: `${root.name}, fetched on ${dayOf(fetched)}, expired on ${dayOf(expires)}; run: lkt trust update`,
  });
}

function dayOf(time: string): string {
  return new Date(time).toISOString().slice(0, 10);
}

/**
 * Returns the build option that rejects external images refused by a policy of the workspace. Reads
 * nothing before the first check.
 */
export function trustRequirement(
  session: Session,
  flags: PullFlags,
): Pick<BuildOptions, 'requireTrusted'> {
  type Gate = NonNullable<BuildOptions['requireTrusted']>;
  let opened: Promise<Gate> | undefined;
  const open = async (): Promise<Gate> => {
    const { workspaceGate } = await import('@lkt/image/trust');
    return workspaceGate(await trustOptions(session, flags), session.signal);
  };
  return {
    requireTrusted: async (...image) => (await (opened ??= open()))(...image),
  };
}

/** Reads the files of `--trust`. */
async function givenPolicies(
  { environment: { cwd } }: Session,
  { trust = [] }: TrustFlags,
): Promise<readonly PolicyFile[]> {
  const files: PolicyFile[] = [];
  for (const path of trust) {
    const text = await readGiven(cwd, path, `--trust ${path}`);
    files.push({ path, text, dir: dirname(resolve(cwd, path)) });
  }
  return files;
}
