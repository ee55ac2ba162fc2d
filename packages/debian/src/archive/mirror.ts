import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno, LktError } from '@lkt/core';
import type { HttpOptions } from '@lkt/http';
import { type AptSource, parseDeb822Sources, parseOneLineSources } from './apt-sources.ts';

/** Debian keeps security updates in an archive of their own, beside the main one. */
export type ArchiveName = 'debian' | 'debian-security';

/** Where the archives can be read. Nothing is trusted for coming from there. */
export interface Mirror {
  /** What named it, for messages: `LKT_DEBIAN_MIRROR` or `the apt configuration`. */
  readonly source: string;
  /** Addresses of each archive, without a slash at the end, in the order they are tried. */
  readonly archives: Readonly<Record<ArchiveName, readonly string[]>>;
  /** Where the proxies and certificates that lead there are looked up; default none. */
  readonly env?: HttpOptions['env'];
}

export interface FindMirrorOptions {
  /** `LKT_DEBIAN_MIRROR`, proxies and certificates. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** apt's configuration directory. */
  readonly aptDir?: string;
}

/**
 * Finds a Debian mirror: `LKT_DEBIAN_MIRROR` if it is set, else the sources apt uses on this machine.
 *
 * The variable holds the address of the archive, or two: the archive's, a blank, the security archive's, which
 * otherwise is the first with `-security` at the end.
 * @throws LktError CONFIG_INVALID, HOST_UNSUPPORTED
 */
export async function findMirror({ env, aptDir }: FindMirrorOptions): Promise<Mirror> {
  const named = env['LKT_DEBIAN_MIRROR']?.trim() ?? '';
  const mirror =
    named === '' ? fromApt(await readAptSources(aptDir ?? '/etc/apt')) : fromVariable(named);
  return { ...mirror, env };
}

function fromVariable(value: string): Mirror {
  const [main, security, ...rest] = value.split(/\s+/).map((uri) => uri.replace(/\/+$/, ''));
  if (main === undefined || rest.length > 0 || !isHttp(main) || !isHttp(security ?? main)) {
    throw new LktError('CONFIG_INVALID', `LKT_DEBIAN_MIRROR is not the address of a mirror`, {
      fix: 'set it to an address such as https://mirror.example/debian',
    });
  }
  return {
    source: 'LKT_DEBIAN_MIRROR',
    archives: { debian: [main], 'debian-security': [security ?? `${main}-security`] },
  };
}

function fromApt(sources: readonly AptSource[]): Mirror {
  const usable = sources.filter(
    ({ uri, components, signed }) => isHttp(uri) && signed && components.includes('main'),
  );
  const addresses = (security: boolean): string[] => [
    ...new Set(
      usable
        .filter(({ suite }) => isSecurity(suite) === security)
        .map(({ uri }) => uri.replace(/\/+$/, '')),
    ),
  ];
  const debian = addresses(false);
  if (debian.length === 0) {
    throw new LktError('HOST_UNSUPPORTED', 'the apt configuration names no mirror of Debian', {
      fix: 'set LKT_DEBIAN_MIRROR to the address of one, such as https://mirror.example/debian',
    });
  }
  const security = addresses(true);
  return {
    source: 'the apt configuration',
    archives: {
      debian,
      'debian-security': security.length > 0 ? security : debian.map((uri) => `${uri}-security`),
    },
  };
}

function isHttp(uri: string): boolean {
  return /^https?:\/\/\S+$/.test(uri) && URL.canParse(uri);
}

/** `bookworm-security`, and `buster/updates` before bullseye. */
function isSecurity(suite: string): boolean {
  return /(?:-security|\/updates)\/?$/.test(suite);
}

async function readAptSources(aptDir: string): Promise<AptSource[]> {
  const parts = join(aptDir, 'sources.list.d');
  const names: string[] = await readdir(parts).catch(emptyIfAbsent);
  const files = [
    join(aptDir, 'sources.list'),
    ...names.toSorted().map((name) => join(parts, name)),
  ];
  const sources: AptSource[] = [];
  for (const file of files) {
    const deb822 = file.endsWith('.sources');
    if (!deb822 && !file.endsWith('.list')) continue;
    const text = await readFile(file, 'utf8').catch(emptyIfAbsent);
    if (typeof text !== 'string') continue;
    sources.push(...(deb822 ? parseDeb822Sources(text, file) : parseOneLineSources(text)));
  }
  return sources;
}

function emptyIfAbsent(error: unknown): never[] {
  if (isErrno(error, 'ENOENT')) return [];
  throw error;
}
