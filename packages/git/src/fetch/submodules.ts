import { LktError } from '@lkt/core';
import { fromRaw, type RawPath } from '@lkt/oci';
import type { BareRepository } from './bare-repository.ts';

/**
 * Returns the URL of a submodule from the commit's `.gitmodules` (gitmodules(5)).
 * @param options.parent the URL of the containing repository, to resolve `./` and `../`
 * @throws NOT_FOUND if `.gitmodules` has no URL for the path
 * @throws UNSUPPORTED for a URL that is not a network URL
 */
export async function submoduleUrl(
  repository: BareRepository,
  { tree, path, parent }: { tree: string; path: RawPath; parent: string },
): Promise<string> {
  const settings = await gitModules(repository, tree);
  for (const [name, { path: written, url }] of settings) {
    if (written !== path || url === undefined) continue;
    const text = fromRaw(url);
    const address = /^\.\.?\//.test(text) ? relativeTo(parent, text) : text;
    // The URL comes from the repository, not from the user: accepts only network URLs.
    if (
      /^(?:https?|ssh|git):\/\/[^-\s]/.test(address) ||
      /^[\w][\w.-]*@[\w.-]+:[^\s]+$/.test(address)
    )
      return address;
    throw new LktError(
      'UNSUPPORTED',
      `the submodule ${fromRaw(name)} has the URL ${JSON.stringify(address)}, which is not a network URL`,
      { fix: FIX },
    );
  }
  throw new LktError('NOT_FOUND', `.gitmodules has no URL for ${fromRaw(path)}`, {
    fix: FIX,
  });
}

const FIX = 'skip submodules: add ?submodules=false to the repository URL';

type Modules = ReadonlyMap<string, { path?: string; url?: string }>;

async function gitModules(repository: BareRepository, tree: string): Promise<Modules> {
  const modules = new Map<string, { path?: string; url?: string }>();
  let answer: Buffer;
  try {
    const args = ['config', '--no-includes', '--null', '--list', `--blob=${tree}:.gitmodules`];
    answer = await repository.run(args);
  } catch (error) {
    if (!(error instanceof LktError) || error.code !== 'GIT_FAILED') throw error;
    return modules;
  }
  for (const record of answer.toString('latin1').split('\0')) {
    const [, name, key, value] = /^submodule\.(.*)\.(path|url)\n(.*)$/s.exec(record) ?? [];
    if (name === undefined || value === undefined) continue;
    modules.set(name, { ...modules.get(name), [key === 'path' ? 'path' : 'url']: value });
  }
  return modules;
}

/**
 * Resolves a relative URL as git-submodule(1) does: `../` removes the last segment of the parent's
 * URL.
 */
function relativeTo(parent: string, url: string): string {
  let base = parent.replace(/\/+$/, '');
  let rest = url;
  for (;;) {
    if (rest.startsWith('./')) {
      rest = rest.slice(2);
    } else if (rest.startsWith('../')) {
      rest = rest.slice(3);
      const cut = Math.max(base.lastIndexOf('/'), base.lastIndexOf(':'));
      // Keeps the host.
      if (/^[a-z]+:\/\/[^/]*$/.test(base) || cut === -1)
        throw new LktError('UNSUPPORTED', `the submodule URL ${url} leads out of ${parent}`, {
          fix: FIX,
        });
      base = base[cut] === ':' ? base.slice(0, cut + 1) : base.slice(0, cut);
    } else {
      return base.endsWith(':') ? base + rest : `${base}/${rest}`;
    }
  }
}
