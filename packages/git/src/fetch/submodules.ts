import { LktError } from '@lkt/core';
import { fromRaw, type RawPath } from '@lkt/oci';
import type { BareRepository } from './bare-repository.ts';

/**
 * Where a submodule is, as `.gitmodules` of the commit says (gitmodules(5)).
 * @param options.parent the address of the repository that it is in, for one that begins with `./` or `../`
 */
export async function submoduleAddress(
  repository: BareRepository,
  { tree, path, parent }: { tree: string; path: RawPath; parent: string },
): Promise<string> {
  const settings = await gitModules(repository, tree);
  for (const [name, { path: written, url }] of settings) {
    if (written !== path || url === undefined) continue;
    const text = fromRaw(url);
    const address = /^\.\.?\//.test(text) ? relativeTo(parent, text) : text;
    // Not what a user typed: nothing but an address may come of it.
    if (
      /^(?:https?|ssh|git):\/\/[^-\s]/.test(address) ||
      /^[\w][\w.-]*@[\w.-]+:[^\s]+$/.test(address)
    )
      return address;
    throw new LktError(
      'UNSUPPORTED',
      `the submodule ${fromRaw(name)} is at ${JSON.stringify(address)}, which is no address of the network`,
      { fix: FIX },
    );
  }
  throw new LktError('NOT_FOUND', `.gitmodules does not say where ${fromRaw(path)} is`, {
    fix: FIX,
  });
}

const FIX = 'leave submodules out: ?submodules=false in the address of the repository';

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

/** As git-submodule(1) has it: `../` takes away the last part of the parent's address. */
function relativeTo(parent: string, url: string): string {
  let base = parent.replace(/\/+$/, '');
  let rest = url;
  for (;;) {
    if (rest.startsWith('./')) {
      rest = rest.slice(2);
    } else if (rest.startsWith('../')) {
      rest = rest.slice(3);
      const cut = Math.max(base.lastIndexOf('/'), base.lastIndexOf(':'));
      // Not into the host.
      if (/^[a-z]+:\/\/[^/]*$/.test(base) || cut === -1)
        throw new LktError(
          'UNSUPPORTED',
          `the address ${url} of a submodule leads out of ${parent}`,
          { fix: FIX },
        );
      base = base[cut] === ':' ? base.slice(0, cut + 1) : base.slice(0, cut);
    } else {
      return base.endsWith(':') ? base + rest : `${base}/${rest}`;
    }
  }
}
