import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { canonicalJson, digestOf } from '@lkt/core';
import type { Environment } from '@lkt/pkg';
import { findResult } from '@lkt/pkg/action-cache';
import type { Settings } from './options.ts';
import { rethrowPlain } from './plain-error.ts';
import type { Projects } from './projects.ts';
import { writeJson } from './write-json.ts';

/** The entry of the action cache, in the directory of package layouts. */
const ENTRY = '.projects.json';

interface CachedProjects {
  readonly key: string;
  readonly projects: Projects;
}

/**
 * Returns the packages and images of a workspace as Nx projects: from the action cache if its
 * inputs are unchanged, which takes a tenth of the time of reading them.
 * @param files candidate files, relative to `root`
 * @throws PlainError for an error in a package
 */
export async function cachedProjects(
  root: string,
  files: readonly string[],
  settings: Settings,
  env: Environment,
): Promise<Projects> {
  const key = keyOf(root, files, settings, env);
  const path = join(root, settings.layouts, ENTRY);
  if (key !== undefined) {
    const cached = await findResult<CachedProjects>(textAt(path), env);
    if (cached?.key === key) return cached.projects;
  }
  const { readProjects } = await import('./projects.ts');
  const { projects, inputs } = await readProjects(root, files, settings, env).catch(rethrowPlain);
  // Before the first package build the plugin writes nothing.
  if (key !== undefined && inputs !== undefined && existsSync(dirname(path))) {
    const { recordAction } = await import('@lkt/pkg');
    const result = { key, projects } satisfies CachedProjects;
    const action = recordAction(inputs, result);
    if (action !== undefined) await writeJson(path, action);
  }
  return projects;
}

function textAt(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/**
 * Returns a hash over the inputs that are not files of the workspace; undefined for a plugin that
 * runs from its sources, whose version is unknown.
 */
function keyOf(
  root: string,
  files: readonly string[],
  settings: Settings,
  env: Environment,
): string | undefined {
  const program = fileURLToPath(import.meta.url);
  if (basename(program) !== 'plugin.js') return undefined;
  const read = Object.entries(env).filter(([name]) =>
    /^(?:GIT_|HOME$|XDG_CONFIG_HOME$)/.test(name),
  );
  return digestOf(
    canonicalJson({
      // The file names of its chunks are hashes of their contents.
      program: digestOf(readFileSync(program)),
      root,
      files,
      settings,
      user: process.getuid?.() ?? 0,
      variables: Object.fromEntries(read),
    }),
  );
}
