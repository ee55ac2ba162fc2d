import type { BuiltImage } from '@lkt/image';
import type { Session } from './session.ts';
import { commandRecordPath } from './command-record.ts';

const KNOWN: ReadonlySet<string> = new Set([
  'arch',
  'audit',
  'cache',
  'compress-level',
  'compressor',
  'dir',
  'format',
  'layouts',
  'locked',
  'name',
  'offline',
  'provenance',
  'sbom',
  'sbom-output',
  'set',
  'strict',
]);
const FORMATS: ReadonlySet<unknown> = new Set([
  'kernel+initrd',
  'kernel+iso',
  'tar-kernel-initrd',
  'tar',
  'docker',
  'oci',
]);

/**
 * Where the record of a build of an image is.
 * @returns undefined for a build that has none: besides what no command has one for, of configs from elsewhere
 */
export function buildRecordPath(
  session: Session,
  { file }: { readonly file: readonly string[] },
  flags: Readonly<Record<string, unknown>>,
): string | undefined {
  if (file.some((name) => name === '-' || /^https?:/i.test(name))) return undefined;
  const { format, compressor } = flags;
  // The program xz may be another the next time.
  if (compressor === 'xz') return undefined;
  if (Array.isArray(format) && !format.every((name) => FORMATS.has(name))) return undefined;
  if ((session.environment.variables['LKT_TRUSTED_ROOT'] ?? '') !== '') return undefined;
  return commandRecordPath(session, {
    area: 'segments',
    name: 'build',
    words: file,
    flags,
    known: KNOWN,
  });
}

/** What the same build gave, if doing it again would change nothing. */
export async function unchangedImage(
  path: string,
  { environment, reporter, signal }: Session,
): Promise<
  Pick<BuiltImage, 'audit' | 'files' | 'minimumMemory' | 'trust' | 'variables'> | undefined
> {
  const { findUnchanged } = await import('@lkt/image/unchanged');
  const found = await findUnchanged(path, environment.variables, reporter, Date.now(), signal);
  return found && { ...found, variables: new Map(Object.entries(found.variables)) };
}
