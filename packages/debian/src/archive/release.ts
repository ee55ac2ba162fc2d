import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, isDigest, LktError } from '@lkt/core';
import { type Paragraph, parseDeb822, words } from '../deb/deb822.ts';
import { run } from '../process.ts';

/** The verified contents of a Release file. */
export interface Release {
  readonly suite: string;
  readonly codename: string;
  /** Time at which the archive made it. */
  readonly date: Date | undefined;
  readonly validUntil: Date | undefined;
  /** Whether files can be downloaded by digest, which works even while a mirror is updated. */
  readonly byHash: boolean;
  /** Files by path below `dists/SUITE/`. `size` is in bytes. */
  readonly files: ReadonlyMap<string, { readonly digest: Digest; readonly size: number }>;
}

const KEYRINGS = [
  '/usr/share/keyrings/debian-archive-keyring.pgp',
  '/usr/share/keyrings/debian-archive-keyring.gpg',
];

/**
 * Verifies a clear-signed InRelease with gpgv and parses its signed part.
 * @param directory private directory for gpgv's files
 * @param what name of the file, for messages
 * @param keyrings see `ArchiveOptions`
 * @throws SIGNATURE_INVALID, TOOL_MISSING, ARCHIVE_INVALID, NOT_FOUND
 */
export async function readInRelease(
  bytes: Uint8Array,
  directory: string,
  what: string,
  keyrings?: readonly string[],
): Promise<Release> {
  requireOneMessage(Buffer.from(bytes).toString('latin1'), what);
  const signed = join(directory, 'InRelease');
  const plain = join(directory, 'Release');
  await writeFile(signed, bytes);
  const { stdout, stderr } = await run('gpgv', [
    '--homedir',
    directory,
    ...findKeyrings(keyrings).flatMap((keyring) => ['--keyring', keyring]),
    '--status-fd',
    '1',
    '--output',
    plain,
    signed,
  ]).catch((error: unknown) => {
    throw missing('gpgv', 'gpgv', error);
  });
  requireGoodSignature(stdout, stderr, what);
  return parseRelease(await readFile(plain, 'utf8'), what);
}

/**
 * Requires exactly one signed message with nothing around it, so that no unsigned text passes as
 * signed (RFC 9580, section 7).
 */
function requireOneMessage(text: string, what: string): void {
  const lines = text.trimEnd().split(/\r?\n/);
  const count = (line: string): number => lines.filter((other) => other.trimEnd() === line).length;
  const framed =
    lines[0]?.trimEnd() === '-----BEGIN PGP SIGNED MESSAGE-----' &&
    lines.at(-1)?.trimEnd() === '-----END PGP SIGNATURE-----' &&
    count('-----BEGIN PGP SIGNED MESSAGE-----') === 1 &&
    count('-----BEGIN PGP SIGNATURE-----') === 1 &&
    count('-----END PGP SIGNATURE-----') === 1;
  if (!framed) throw new LktError('SIGNATURE_INVALID', `${what} is not a signed Release file`);
}

/**
 * Requires a valid signature by a key that is neither expired nor revoked, and no bad signature, as
 * apt does. Debian signs with several keys, some of which an older keyring lacks (gnupg
 * doc/DETAILS, "status codes").
 */
function requireGoodSignature(status: string, stderr: string, what: string): void {
  const codes = status
    .split('\n')
    .filter((line) => line.startsWith('[GNUPG:] '))
    .map((line) => line.split(' ')[1] ?? '');
  const good = codes.includes('GOODSIG') && codes.includes('VALIDSIG');
  if (good && !codes.includes('BADSIG')) return;
  throw new LktError('SIGNATURE_INVALID', `the signature of ${what} is not valid`, {
    cause: new Error(stderr.trim()),
    fix: codes.includes('NO_PUBKEY')
      ? 'run apt-get install --only-upgrade debian-archive-keyring'
      : 'use a complete mirror of Debian',
  });
}

function findKeyrings(keyrings: readonly string[] | undefined): readonly string[] {
  const present = (keyrings ?? KEYRINGS).filter((path) => existsSync(path));
  if (present.length > 0) return present;
  if (keyrings === undefined) throw missing("Debian's keyring", 'debian-archive-keyring');
  throw new LktError('NOT_FOUND', `no keyring at ${keyrings.join(', ')}`);
}

function missing(what: string, debianPackage: string, cause?: unknown): LktError {
  return new LktError('TOOL_MISSING', `${what} is needed to verify the archive's signature`, {
    cause,
    fix: `run apt-get install ${debianPackage}`,
  });
}

/**
 * Parses the text of a Release file, which must be verified.
 * @throws ARCHIVE_INVALID
 */
export function parseRelease(text: string, what: string): Release {
  const [fields, ...rest] = parseDeb822(text, what);
  if (fields === undefined || rest.length > 0)
    throw new LktError('ARCHIVE_INVALID', `${what}: expected one paragraph`);
  return {
    suite: fields.get('suite') ?? '',
    codename: fields.get('codename') ?? '',
    date: date(fields.get('date'), what),
    validUntil: date(fields.get('valid-until'), what),
    byHash: fields.get('acquire-by-hash') === 'yes',
    files: parseFiles(fields, what),
  };
}

function date(value: string | undefined, what: string): Date | undefined {
  if (value === undefined) return undefined;
  const result = new Date(value);
  if (Number.isNaN(result.getTime()))
    throw new LktError('ARCHIVE_INVALID', `${what}: "${value}" is not a date`);
  return result;
}

function parseFiles(fields: Paragraph, what: string): Release['files'] {
  const files = new Map<string, { digest: Digest; size: number }>();
  for (const line of (fields.get('sha256') ?? '').split('\n')) {
    const [hash, size, path] = words(line);
    if (hash === undefined) continue;
    const digest = `sha256:${hash}`;
    if (!isDigest(digest) || path === undefined || !/^\d+$/.test(size ?? ''))
      throw new LktError('ARCHIVE_INVALID', `${what}: "${line}" is not a valid SHA256 line`);
    files.set(path, { digest, size: Number(size) });
  }
  return files;
}
