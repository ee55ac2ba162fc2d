import { LktError, type SourceFile } from '@lkt/core';
import { parseReference } from '@lkt/oci';
import {
  type BuildOptions,
  buildPackages,
  type Package,
  type PinChange,
  pinOf,
  pinWorkspace,
  type Workspace,
  writeFileWhole,
} from '@lkt/pkg';
import { packageNames, pinConfig } from './config/pin-config.ts';

/** An image config on disk. */
export interface ConfigFile extends SourceFile {
  readonly absolute: string;
}

export interface PinTargets {
  readonly packages: readonly Package[];
  readonly configs: readonly ConfigFile[];
  /** Change nothing; stale pins are errors. */
  readonly check: boolean;
}

/**
 * Makes Dockerfiles and image configs name the packages of the workspace as they are now: builds the packages and what
 * they use in dependency order, and writes tag and digest of each where it is named.
 *
 * Done twice, the second time changes nothing.
 * @returns what was written, in the order in which it was
 * @throws LktError PIN_STALE, PIN_MISSING (with `check`), and what `pinWorkspace` throws
 */
export async function pin(
  workspace: Workspace,
  { packages, configs, check }: PinTargets,
  options: BuildOptions,
): Promise<readonly PinChange[]> {
  const named = configs.flatMap(packageNames).map((name) => workspace.find(parseReference(name)));
  const targets = [...new Set([...packages, ...named.filter((item) => item !== undefined)])];
  const changes: PinChange[] = [];
  let pins: ReadonlyMap<string, string>;
  if (check) {
    const report = await buildPackages(workspace, targets, options);
    pins = new Map(report.packages.map((built) => [built.item.name, pinOf(built) ?? '']));
  } else {
    const report = await pinWorkspace(workspace, targets, options);
    changes.push(...report.changes);
    pins = report.references;
  }
  for (const file of configs) {
    const pinned = pinConfig(file, pins);
    if (!check && pinned.changes.length > 0) await writeFileWhole(file.absolute, pinned.text);
    changes.push(...pinned.changes.map((change) => ({ file: file.path, ...change })));
  }
  if (check && changes.length > 0) throw stale(changes);
  return changes;
}

function stale(changes: readonly PinChange[]): LktError {
  const lines = changes.map(
    ({ file, line, from, to }) => `  ${file}:${line}: ${from}\n    is now ${to}`,
  );
  const what = changes.length === 1 ? '1 pin is' : `${changes.length} pins are`;
  return new LktError('PIN_STALE', `${what} stale`, {
    detail: lines.join('\n'),
    fix: 'run: lkt pin',
  });
}
