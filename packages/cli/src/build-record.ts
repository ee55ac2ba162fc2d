import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { canonicalJson, digestHex, digestOf } from '@lkt/core';
import type { BuiltImage } from '@lkt/image';
import type { Session } from './command.ts';

/** What decides nothing of an image, or only which of these flags it is. */
const SILENT: ReadonlySet<string> = new Set(['json', 'progress', 'quiet', 'verbose']);

/** Flags of which all is known that a build with them looks at. */
const KNOWN: ReadonlySet<string> = new Set([
  'arch',
  'cache',
  'compress-level',
  'compressor',
  'dir',
  'format',
  'locked',
  'name',
  'offline',
  'provenance',
  'sbom',
  'sbom-output',
  'set',
]);
const FORMATS: ReadonlySet<unknown> = new Set([
  'kernel+initrd',
  'kernel+iso',
  'tar-kernel-initrd',
  'tar',
  'docker',
  'oci',
]);

/** What shells count, and nobody reads. */
const UNREAD: ReadonlySet<string> = new Set(['_', 'OLDPWD', 'PWD', 'SHLVL']);

/**
 * Where the record of a build is that says of itself that nothing has changed. What cannot change while a program runs is
 * in the name: the program, the command line, the directory, the user and the environment.
 * @returns undefined for a build that has none: of configs from elsewhere, with flags that name more to look at, or by a
 * program from its sources, which says nothing of which they are
 */
export function buildRecordPath(
  { environment: { cwd, home, variables }, cacheDir }: Session,
  { file }: { readonly file: readonly string[] },
  flags: Readonly<Record<string, unknown>>,
): string | undefined {
  const program = programId();
  if (program === undefined) return undefined;
  if (file.some((name) => name === '-' || /^https?:/i.test(name))) return undefined;
  const given = Object.entries(flags).filter(
    ([name, value]) => value !== undefined && !SILENT.has(name),
  );
  if (!given.every(([name, value]) => KNOWN.has(name) || value === false)) return undefined;
  const { format, compressor } = flags;
  // The program xz may be another the next time.
  if (compressor === 'xz') return undefined;
  if (Array.isArray(format) && !format.every((name) => FORMATS.has(name))) return undefined;
  if ((variables['LKT_TRUSTED_ROOT'] ?? '') !== '') return undefined;
  const read = Object.entries(variables).filter(([name]) => !UNREAD.has(name));
  const inputs = {
    version: 1,
    program,
    cwd,
    home,
    user: process.getuid?.() ?? 0,
    file,
    flags: Object.fromEntries(given),
    variables: Object.fromEntries(read),
  };
  return join(cacheDir, 'segments', `${digestHex(digestOf(canonicalJson(inputs)))}.build`);
}

/** What the same build gave, if doing it again would change nothing. */
export async function unchangedImage(
  path: string,
  { environment, reporter, signal }: Session,
): Promise<Pick<BuiltImage, 'files' | 'minimumMemory' | 'trust' | 'variables'> | undefined> {
  const { findUnchanged } = await import('@lkt/image/unchanged');
  const found = await findUnchanged(path, environment.variables, reporter, signal);
  return found && { ...found, variables: new Map(Object.entries(found.variables)) };
}

/** The bundle is named by all that it was made from. */
function programId(): string | undefined {
  const name = dirname(fileURLToPath(new URL('all-commands.ts', import.meta.url)));
  return /\/node_modules\/\.cache\/lkt\/([0-9a-f]{16})$/.exec(name)?.[1];
}
