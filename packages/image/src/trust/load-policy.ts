import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { isErrno, LktError, parseYaml, type SourceFile, type YamlValue } from '@lkt/core';
import {
  parseTrustedRoot,
  type PublicKey,
  readPublicKey,
  type Signers,
  type TrustedRoot,
  type TrustPolicy,
} from '@lkt/sign';
import { parseTrust, type SignerSettings, type TrustSettings } from './parse-trust.ts';

/**
 * The policy that a file as a whole is, such as a `trust.yml`.
 * @param dir what its paths are relative to
 * @throws LktError CONFIG_INVALID with line and column
 */
export async function readTrustFile(file: SourceFile, dir: string): Promise<TrustPolicy> {
  return loadPolicy(parseTrust(parseYaml(file)), dir);
}

/**
 * Reads the keys and the trusted root that a policy names.
 * @param dir what its paths are relative to
 * @throws LktError CONFIG_INVALID with line and column, also for a threshold that cannot be reached
 */
async function loadPolicy(settings: TrustSettings, dir: string): Promise<TrustPolicy> {
  const { required, unsigned, at } = settings;
  const root =
    settings.trustedRoot === undefined ? undefined : await readRoot(settings.trustedRoot, dir);
  const rules: TrustPolicy['rules'][number][] = [];
  for (const { images, signers, rebuilders, at: rule } of settings.rules) {
    rules.push({
      name: placeOf(rule),
      images,
      ...(signers === undefined ? {} : { signers: await loadSigners(signers, dir, root) }),
      ...(rebuilders === undefined ? {} : { rebuilders: await loadSigners(rebuilders, dir, root) }),
    });
  }
  const name = placeOf(at);
  return { name, required, unsigned, rules, ...(root === undefined ? {} : { root }) };
}

async function loadSigners(
  { threshold, keys, identities, at }: SignerSettings,
  dir: string,
  root: TrustedRoot | undefined,
): Promise<Signers> {
  const loaded = new Map<string, PublicKey>();
  for (const value of keys) {
    const key = await readKey(value, dir);
    // Under two names it is one key, and one signer.
    if (!loaded.has(key.fingerprint)) loaded.set(key.fingerprint, key);
  }
  const [first] = identities;
  if (first !== undefined && root === undefined)
    throw first.at.error('identities are believed from the authorities of a trusted root', {
      fix: 'name the trusted_root.json of your Sigstore instance: trustedRoot: FILE',
    });
  const distinct = new Map(
    identities.map(({ issuer, subject }) => [
      JSON.stringify([issuer, subject]),
      { issuer, subject },
    ]),
  );
  const count = loaded.size + distinct.size;
  if (threshold > count)
    throw at.error(
      `${threshold} are wanted, of ${count} that ${count === 1 ? 'is' : 'are'} not the same`,
    );
  return { threshold, keys: [...loaded.values()], identities: [...distinct.values()] };
}

async function readKey(value: YamlValue, dir: string): Promise<PublicKey> {
  const text = value.string();
  const isText = text.includes('-----BEGIN ');
  try {
    const key = await readPublicKey(isText ? text : resolve(dir, text));
    return { ...key, name: isText ? key.fingerprint : text };
  } catch (cause) {
    throw locate(value, cause);
  }
}

async function readRoot(value: YamlValue, dir: string): Promise<TrustedRoot> {
  const text = value.string();
  try {
    return await parseTrustedRoot(await readFile(resolve(dir, text), 'utf8'), text);
  } catch (cause) {
    if (isErrno(cause, 'ENOENT', 'ENOTDIR', 'EISDIR', 'EACCES'))
      throw value.error(`there is no trusted root at ${text}`, { cause });
    throw locate(value, cause);
  }
}

function locate(value: YamlValue, cause: unknown): unknown {
  if (!(cause instanceof LktError)) return cause;
  return value.error(cause.message, {
    cause,
    ...(cause.fix === undefined ? {} : { fix: cause.fix }),
  });
}

function placeOf({ file, position }: YamlValue): string {
  return `${file.path}:${position.line}`;
}
