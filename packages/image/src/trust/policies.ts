import { relative } from 'node:path';
import { findTrustFiles, policyDirs, type ReferenceProblem, type Workspace } from '@lkt/pkg';
import type { SignatureSource, NamedImage, TrustedRoot, TrustPolicy } from '@lkt/sign';
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
 * Returns a function that evaluates images by the policies of their workspaces, and returns the
 * problem of using an image; undefined without one. Loads the policies with the first image.
 */
export function workspaceGate(
  policiesOf: ((dirs: readonly string[]) => Promise<readonly TrustPolicy[]>) | undefined,
  sources: readonly SignatureSource[],
  signal?: AbortSignal,
): (image: NamedImage, workspace: Workspace) => Promise<ReferenceProblem | undefined> {
  const gates = new Map<Workspace, Promise<TrustGate | undefined>>();
  const open = async (workspace: Workspace): Promise<TrustGate | undefined> => {
    const policies = (await policiesOf?.(policyDirs(workspace))) ?? [];
    if (policies.length === 0) return undefined;
    const gate = await import('./trust-gate.ts');
    return new gate.TrustGate(policies, sources, { signal });
  };
  return async (image, workspace) => {
    const gate = gates.get(workspace) ?? open(workspace);
    gates.set(workspace, gate);
    return (await gate)?.problem(image);
  };
}
