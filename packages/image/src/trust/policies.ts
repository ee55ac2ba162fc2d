import { realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import { findTrustFile, type ReferenceProblem, type Workspace } from '@lkt/pkg';
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
 * Returns the policies of a workspace: its `trust.yml`, then the given files, each independent.
 * Loads nothing without a policy.
 * @throws CONFIG_INVALID
 */
export async function trustPolicies(
  workspace: Workspace | undefined,
  given: readonly PolicyFile[],
  root: TrustedRoot | undefined,
): Promise<readonly TrustPolicy[]> {
  const path = workspace && (await findTrustFile(workspace.root));
  // Most workspaces have no policy and need not load the code.
  if (path === undefined && given.length === 0) return [];
  const { readTrustFile, workspacePolicy } = await import('./load-policy.ts');
  const policies: TrustPolicy[] = [];
  if (workspace !== undefined && path !== undefined) {
    const own = await workspacePolicy(workspace.root, workspace.displayPath(path), root);
    if (own !== undefined) policies.push(own);
  }
  for (const { path: name, text, dir } of given)
    policies.push(await readTrustFile({ path: name, text }, dir, root));
  return policies;
}

/** Reports whether `top` or a directory above it has a `trust.yml`. */
export async function mayHavePolicy(top: string): Promise<boolean> {
  try {
    for (let dir = await realpath(top); ; dir = dirname(dir)) {
      if ((await findTrustFile(dir)) !== undefined) return true;
      if (dir === dirname(dir)) return false;
    }
  } catch {
    // Opening the workspace reports the error.
    return true;
  }
}

/** Evaluates images by the policies of their workspaces. Loads these with the first image. */
export class WorkspaceGates {
  readonly #policies: (workspace: Workspace) => Promise<readonly TrustPolicy[]>;
  readonly #sources: readonly SignatureSource[];
  readonly #signal: AbortSignal | undefined;
  readonly #gates = new Map<Workspace, Promise<TrustGate | undefined>>();

  constructor(
    policies: (workspace: Workspace) => Promise<readonly TrustPolicy[]>,
    sources: readonly SignatureSource[],
    signal?: AbortSignal,
  ) {
    this.#policies = policies;
    this.#sources = sources;
    this.#signal = signal;
  }

  /** Returns the problem of using an image in a workspace; undefined without one. */
  async problem(image: NamedImage, workspace: Workspace): Promise<ReferenceProblem | undefined> {
    let gate = this.#gates.get(workspace);
    if (gate === undefined) {
      gate = this.#open(workspace);
      this.#gates.set(workspace, gate);
    }
    return (await gate)?.problem(image);
  }

  async #open(workspace: Workspace): Promise<TrustGate | undefined> {
    const policies = await this.#policies(workspace);
    if (policies.length === 0) return undefined;
    const { TrustGate: Gate } = await import('./trust-gate.ts');
    return new Gate(policies, this.#sources, this.#signal);
  }
}
