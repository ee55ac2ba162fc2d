import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { isErrno, LktError, parseYaml, type SourceFile, uniqueBy, type YamlValue } from '@lkt/core';
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
): Promise<TrustPolicy> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new LktError('IO_FAILED', `${shown} cannot be read`, { cause });
  }
  return readTrustFile({ path: shown, text }, dirname(path), given);
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
): Promise<TrustPolicy> {
  return loadPolicy(parseTrust(parseYaml(file)), dir, given);
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
): Promise<TrustPolicy> {
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
      signers: signers === undefined ? undefined : await loadSigners(signers, dir, root),
      rebuilders: rebuilders === undefined ? undefined : await loadSigners(rebuilders, dir, root),
    });
  }
  const name = positionOf(at);
  return { name, required, unsigned, rules, root };
}

async function loadSigners(
  { threshold, keys, identities, at }: SignerSettings,
  dir: string,
  root: TrustedRoot | undefined,
): Promise<SignerRequirement> {
  const loaded = new Map<string, PublicKey>();
  for (const value of keys) {
    const key = await readKey(value, dir);
    // A key under two names is one signer.
    if (!loaded.has(key.fingerprint)) loaded.set(key.fingerprint, key);
  }
  const [first] = identities;
  if (first !== undefined && root === undefined)
    throw first.at.error('identities need a trusted root', {
      fix: 'name the trusted_root.json of your Sigstore instance: trustedRoot: FILE, or --trusted-root FILE',
    });
  const distinct = uniqueBy(identities, identityKey).map(({ at: _at, ...identity }) => identity);
  const count = loaded.size + distinct.length;
  if (threshold > count)
    throw at.error(`the threshold is ${threshold}, and the number of distinct signers is ${count}`);
  return { threshold, keys: [...loaded.values()], identities: distinct };
}

async function readKey(value: YamlValue, dir: string): Promise<PublicKey> {
  const text = value.string();
  const isText = !isFile(value);
  try {
    const key = await readPublicKey(isText ? text : resolve(dir, text));
    return { ...key, name: isText ? key.fingerprint : text };
  } catch (cause) {
    throw errorOf(value, cause);
  }
}

async function readRoot(value: YamlValue, dir: string): Promise<TrustedRoot> {
  const text = value.string();
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
