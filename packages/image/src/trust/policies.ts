import { relative } from 'node:path';
import {
  type BuildOptions,
  findTrustFiles,
  type Package,
  policyDirs,
  trustFileIn,
  type Workspace,
} from '@lkt/pkg';
import type { TrustedRoot, TrustPolicy } from '@lkt/sign';
import type { TrustOptions } from './check-images.ts';
import type { CollectionPolicies } from './collection-policy.ts';
import type { TrustGate } from './trust-gate.ts';

/** A policy file from the command line. */
export interface PolicyFile {
  /** As the user wrote it. */
  readonly path: string;
  readonly text: string;
  /** Base of its paths. */
  readonly dir: string;
}

/**
 * Returns the policies that apply below some directories: each `trust.yml` in and above them, then
 * the given files. They are independent, and an image must satisfy all. Loads nothing without a
 * policy.
 * @param cwd messages have paths relative to it
 * @throws CONFIG_INVALID, IO_FAILED
 */
export async function trustPolicies(
  dirs: readonly string[],
  given: readonly PolicyFile[],
  root: TrustedRoot | undefined,
  cwd: string,
): Promise<readonly TrustPolicy[]> {
  const paths = await findTrustFiles(dirs);
  // Most workspaces have no policy and need not load the code.
  if (paths.length === 0 && given.length === 0) return [];
  const { filePolicy, readTrustFile } = await import('./load-policy.ts');
  const policies: TrustPolicy[] = [];
  for (const path of paths) policies.push(await filePolicy(path, relative(cwd, path), root));
  for (const { path: name, text, dir } of given)
    policies.push(await readTrustFile({ path: name, text }, dir, root));
  return policies;
}

/**
 * Returns a function that evaluates images by the policies of their workspaces and collections, and
 * returns the problem of using an image; undefined without one. Loads the policies with the first
 * image.
 */
export function workspaceGate(
  { policies: policiesOf, root, sources = [] }: TrustOptions,
  signal?: AbortSignal,
): NonNullable<BuildOptions['requireTrusted']> {
  interface Gate {
    readonly policies: readonly TrustPolicy[];
    collections?: CollectionPolicies;
    gate?: TrustGate;
  }
  const gates = new Map<Workspace, Promise<Gate>>();
  const open = async (workspace: Workspace): Promise<Gate> => ({
    policies: (await policiesOf?.(policyDirs(workspace))) ?? [],
  });
  const policyOf = async (
    gate: Gate,
    workspace: Workspace,
    item: Package | undefined,
  ): Promise<TrustPolicy | undefined> => {
    const { collection } = item ?? {};
    if (collection === undefined || (await trustFileIn(collection.root)) === undefined)
      return undefined;
    const { CollectionPolicies } = await import('./collection-policy.ts');
    gate.collections ??= new CollectionPolicies(workspace, root);
    return gate.collections.of(item);
  };
  return async (image, workspace, item) => {
    const opening = gates.get(workspace) ?? open(workspace);
    gates.set(workspace, opening);
    const opened = await opening;
    const own = await policyOf(opened, workspace, item);
    if (opened.policies.length === 0 && own === undefined) return undefined;
    const { TrustGate } = await import('./trust-gate.ts');
    opened.gate ??= new TrustGate(opened.policies, sources, { signal });
    return opened.gate.problem(image, own);
  };
}
