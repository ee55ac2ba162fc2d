import { readFile, realpath, stat } from 'node:fs/promises';
import { dirname, resolve, sep } from 'node:path';
import {
  isErrno,
  kindOfFile,
  LktError,
  parseYaml,
  type SourceFile,
  undefinedIf,
  uniqueBy,
  type YamlValue,
} from '@lkt/core';
import {
  identityKey,
  type PublicKey,
  readPublicKey,
  readTrustedRoot,
  type SignerRequirement,
  type TrustedRoot,
  type TrustPolicy,
} from '@lkt/sign';
import {
  errorOf,
  isFile,
  parseTrust,
  type SignerSettings,
  type TrustSettings,
} from './parse-trust.ts';

/** Options of loading a policy. */
export interface PolicyOptions {
  /** Whether the files that the policy names must be in its directory; default false. */
  readonly isConfined?: boolean;
}

/**
 * Returns the policy of a `trust.yml`.
 * @param shown name of the file for messages
 * @param given the trusted root if the file names none
 * @throws LktError CONFIG_INVALID with line and column, IO_FAILED
 */
export async function filePolicy(
  path: string,
  shown: string,
  given: TrustedRoot | undefined,
  options?: PolicyOptions,
): Promise<TrustPolicy> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new LktError('IO_FAILED', `${shown} cannot be read`, { cause });
  }
  return readTrustFile({ path: shown, text }, dirname(path), given, options);
}

/**
 * Parses a policy file such as `trust.yml`.
 * @param dir base of its paths
 * @param given the trusted root if the file names none
 * @throws LktError CONFIG_INVALID with line and column
 */
export async function readTrustFile(
  file: SourceFile,
  dir: string,
  given?: TrustedRoot,
  options?: PolicyOptions,
): Promise<TrustPolicy> {
  return loadPolicy(parseTrust(parseYaml(file)), dir, given, options);
}

/**
 * Reads the keys and the trusted root that a policy names.
 * @param dir base of its paths
 * @param given the trusted root if the policy names none
 * @throws LktError CONFIG_INVALID with line and column, also for a threshold that cannot be reached
 */
export async function loadPolicy(
  settings: TrustSettings,
  dir: string,
  given?: TrustedRoot,
  { isConfined = false }: PolicyOptions = {},
): Promise<TrustPolicy> {
  if (isConfined) await requireInside(settings, dir);
  const { unsigned, at } = settings;
  const required = [...settings.required, ...settings.linuxkit.map(({ pattern }) => pattern)];
  const root =
    settings.trustedRoot === undefined ? given : await readRoot(settings.trustedRoot, dir);
  const rules: TrustPolicy['rules'][number][] = [];
  for (const { images, bindRepository, signers, rebuilders, at: rule } of settings.rules) {
    rules.push({
      name: positionOf(rule),
      images,
      bindRepository,
      signers: signers === undefined ? undefined : await loadSigners(signers, dir),
      rebuilders: rebuilders === undefined ? undefined : await loadSigners(rebuilders, dir),
    });
  }
  const name = positionOf(at);
  return { name, required, unsigned, rules, root };
}

/**
 * Requires that the files of a foreign policy are regular ones, in a directory or below.
 * @throws LktError CONFIG_INVALID
 */
async function requireInside({ rules, trustedRoot }: TrustSettings, dir: string): Promise<void> {
  const keys = rules
    .flatMap(({ signers, rebuilders }) => [signers, rebuilders])
    .flatMap((some) => some?.keys ?? [])
    .filter(isFile);
  const top = await realpath(dir);
  for (const value of trustedRoot === undefined ? keys : [...keys, trustedRoot]) {
    // A missing file is reported when it is read.
    const path = await realpath(resolve(top, value.string())).catch(undefinedIf('ENOENT'));
    if (path === undefined) continue;
    const isInside = path.startsWith(`${top}${sep}`);
    if (isInside && (await stat(path)).isFile()) continue;
    throw value.error(`${value.string()} is not a file of the collection`, {
      fix: 'name a file beside the policy',
    });
  }
}

async function loadSigners(
  { threshold, keys, identities, at }: SignerSettings,
  dir: string,
): Promise<SignerRequirement> {
  const loaded = new Map<string, PublicKey>();
  for (const value of keys) {
    const key = await readKey(value, dir);
    // A key under two names is one signer.
    if (!loaded.has(key.fingerprint)) loaded.set(key.fingerprint, key);
  }
  const distinct = uniqueBy(identities, identityKey).map(({ at: _at, ...identity }) => identity);
  const count = loaded.size + distinct.length;
  if (threshold > count)
    throw at.error(`the threshold is ${threshold}, and the number of distinct signers is ${count}`);
  return { threshold, keys: [...loaded.values()], identities: distinct };
}

async function readKey(value: YamlValue, dir: string): Promise<PublicKey> {
  const text = value.string();
  const isText = !isFile(value);
  if (!isText) await requireFile(value, dir);
  try {
    const key = await readPublicKey(isText ? text : resolve(dir, text));
    return { ...key, name: isText ? key.fingerprint : text };
  } catch (cause) {
    throw errorOf(value, cause);
  }
}

/** Rejects a pipe or a device, which may have no end. A missing file is reported at reading it. */
async function requireFile(value: YamlValue, dir: string): Promise<void> {
  const stats = await stat(resolve(dir, value.string())).catch(() => undefined);
  if (stats !== undefined && !stats.isFile() && !stats.isDirectory())
    throw value.error(`${value.string()} is ${kindOfFile(stats)}`, { fix: 'name a file' });
}

async function readRoot(value: YamlValue, dir: string): Promise<TrustedRoot> {
  const text = value.string();
  await requireFile(value, dir);
  try {
    return await readTrustedRoot(resolve(dir, text), text);
  } catch (cause) {
    if (isErrno(cause, 'ENOENT', 'ENOTDIR', 'EISDIR', 'EACCES'))
      throw value.error(`there is no trusted root at ${text}`, { cause });
    throw errorOf(value, cause);
  }
}

function positionOf({ file, position }: YamlValue): string {
  return `${file.path}:${position.line}`;
}
