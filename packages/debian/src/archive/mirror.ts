import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno, LktError } from '@lkt/core';
import type { HttpOptions } from '@lkt/http';
import { type AptSource, parseDeb822Sources, parseOneLineSources } from './apt-sources.ts';

/** Debian's archives: security updates have their own. */
export type ArchiveName = 'debian' | 'debian-security';

/** URLs of the archives. A mirror is not trusted: signatures and digests are. */
export interface Mirror {
  /** Origin, for messages: `LKT_DEBIAN_MIRROR` or `the apt configuration`. */
  readonly source: string;
  /** URLs of each archive, without a trailing slash, in the order of use. */
  readonly archives: Readonly<Record<ArchiveName, readonly string[]>>;
  /** Environment with proxies and certificates; default: none. */
  readonly env?: HttpOptions['env'];
}

/**
 * Returns the mirror of `LKT_DEBIAN_MIRROR`, or else that of apt's sources on this machine.
 *
 * The variable has the archive's URL, optionally followed by a space and the security archive's
 * URL; default for the latter is the former plus `-security`.
 * @param options.env - `LKT_DEBIAN_MIRROR`, and the variables of proxies and certificates
 * @param options.aptDir - apt's configuration directory; default: `/etc/apt`
 * @throws CONFIG_INVALID, HOST_UNSUPPORTED
 */
export async function findMirror({
  env,
  aptDir = '/etc/apt',
}: {
  env: Readonly<Record<string, string | undefined>>;
  aptDir?: string;
}): Promise<Mirror> {
  const named = env['LKT_DEBIAN_MIRROR']?.trim() ?? '';
  const mirror = named === '' ? fromApt(await readAptSources(aptDir)) : fromVariable(named);
  return { ...mirror, env };
}

function fromVariable(value: string): Mirror {
  const [main, security, ...rest] = value.split(/\s+/).map((uri) => uri.replace(/\/+$/, ''));
  if (main === undefined || rest.length > 0 || !isHttp(main) || !isHttp(security ?? main)) {
    throw new LktError('CONFIG_INVALID', `LKT_DEBIAN_MIRROR is not the URL of a mirror`, {
      fix: 'set it to a URL such as https://mirror.example/debian',
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
    throw new LktError('HOST_UNSUPPORTED', 'the apt configuration has no mirror of Debian', {
      fix: 'set LKT_DEBIAN_MIRROR to the URL of a mirror, such as https://mirror.example/debian',
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

/** Matches `bookworm-security`, and `buster/updates` before bullseye. */
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
