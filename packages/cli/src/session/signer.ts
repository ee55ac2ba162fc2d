import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { LktError } from '@lkt/core';
import type { SignerId, Signer, SigningKey, SigningServices } from '@lkt/sign';
import type { RegistryFlags } from '../flags/registry.ts';
import type { SignFlags } from '../flags/signing.ts';
import { type Environment, present, trustedRootSetting } from './environment.ts';
import { readGiven } from './paths.ts';
import { authorities } from './registries/registries.ts';
import type { Session } from './session.ts';
import { givenRoot } from './trust.ts';

/** The signing config that `lkt trust update` writes beside the trusted root. */
export const SIGNING_CONFIG = 'signing_config.json';

/** The key of `lkt init` that signs own images; git ignores it. */
export const PRIVATE_KEY = 'release.key';

const KEY_NAMES = [PRIVATE_KEY, 'cosign.key'];

/**
 * Opens the signer that the flags and the environment name. Reads the key and asks for its password
 * at once, before anything is built or sent that would stay unsigned.
 * @throws LktError KEY_INVALID, NOT_FOUND, USAGE_INVALID; ACCESS_DENIED without a signer
 */
export async function openSigner(
  session: Session,
  flags: RegistryFlags & SignFlags,
): Promise<Signer> {
  const { variables } = session.environment;
  const { ciIdentity, keylessSigner, keySigner } = await import('@lkt/sign');
  const options = {
    ...(await signingServices(session, flags)),
    root: await givenRoot(session, flags),
    http: { env: variables, ca: await authorities(session, flags) },
  };
  if (flags.key !== undefined) return keySigner(await signingKey(session, flags.key), options);
  const identity = ciIdentity(variables);
  if (identity === undefined)
    throw new LktError(
      'ACCESS_DENIED',
      'there is neither a key nor an identity token to sign with',
      {
        fix: `give --key ${ownKey(session.environment.cwd)}; in a job of GitHub, set \`permissions: id-token: write\`; elsewhere set SIGSTORE_ID_TOKEN`,
      },
    );
  return keylessSigner({ ...options, identity });
}

/**
 * Returns the services of the signing config, or those of the URLs. Without both, an identity takes
 * the signing config beside the trusted root.
 * @throws LktError USAGE_INVALID for both; CONFIG_INVALID, UNSUPPORTED, NOT_FOUND
 */
async function signingServices(session: Session, flags: SignFlags): Promise<SigningServices> {
  const { environment } = session;
  const { cwd, variables } = environment;
  const urls: SigningServices = {
    fulcioUrl: flags['fulcio-url'] ?? present(variables['LKT_FULCIO_URL']),
    rekorUrl: flags['rekor-url'] ?? present(variables['LKT_REKOR_URL']),
    tsaUrl: flags['tsa-url'] ?? present(variables['LKT_TSA_URL']),
  };
  const hasUrl = Object.values(urls).some((url) => url !== undefined);
  const named = flags['signing-config'] ?? present(variables['LKT_SIGNING_CONFIG']);
  if (named !== undefined && hasUrl)
    throw new LktError(
      'USAGE_INVALID',
      'a signing config and URLs of its services exclude each other',
      {
        fix: 'give --signing-config alone, and unset LKT_FULCIO_URL, LKT_REKOR_URL and LKT_TSA_URL',
      },
    );
  // A key needs no service, and its signatures may not be meant for a log.
  const isDefault = named === undefined && !hasUrl && flags.key === undefined;
  const given = isDefault ? configBesideRoot(environment, flags) : named;
  if (given === undefined) return urls;
  const from = flags['signing-config'] === undefined ? 'LKT_SIGNING_CONFIG' : '--signing-config';
  const text = await readGiven(cwd, given, isDefault ? given : `${from} ${given}`);
  const { parseSigningConfig } = await import('@lkt/sign');
  return parseSigningConfig(text, given, new Date());
}

/** Returns the path of the signing config beside the trusted root; undefined if it is missing. */
function configBesideRoot(environment: Environment, flags: SignFlags): string | undefined {
  const root = trustedRootSetting(flags['trusted-root'], environment).value;
  const path = join(dirname(root), SIGNING_CONFIG);
  return root !== '' && existsSync(path) ? relative(environment.cwd, path) : undefined;
}

/**
 * Opens the signer for `--sign`; returns undefined without it.
 * @throws LktError USAGE_INVALID for signing flags without --sign, and as `openSigner` does
 */
export async function wantedSigner(
  session: Session,
  flags: RegistryFlags & SignFlags,
): Promise<Signer | undefined> {
  if (flags.sign === true) return openSigner(session, flags);
  const names = ['key', 'fulcio-url', 'rekor-url', 'tsa-url', 'signing-config'] as const;
  const given = names.find((name) => flags[name] !== undefined);
  if (given === undefined) return undefined;
  throw new LktError('USAGE_INVALID', `--${given} has no effect without --sign`, {
    fix: 'give --sign too',
  });
}

/** Formats a signer: the fingerprint of a key, or an identity with its issuer. */
export function formatSigner(signer: SignerId): string {
  return signer.kind === 'key'
    ? `key ${signer.fingerprint}`
    : `${signer.subject} (${signer.issuer})`;
}

/**
 * Returns the path of a key of `lkt init` or `lkt key generate`, in the directory or above, up to
 * the top of its repository; `cosign.key` without one.
 */
function ownKey(cwd: string): string {
  for (let dir = cwd; ; dir = dirname(dir)) {
    const found = KEY_NAMES.map((name) => join(dir, name)).find((path) => existsSync(path));
    if (found !== undefined) return relative(cwd, found);
    if (existsSync(join(dir, '.git')) || dirname(dir) === dir) return 'cosign.key';
  }
}

async function signingKey(session: Session, source: string): Promise<SigningKey> {
  const { environment, reporter } = session;
  const { cwd, variables } = environment;
  if (source.includes('-----BEGIN'))
    throw new LktError(
      'USAGE_INVALID',
      '--key contains the key itself, and command lines are not secret',
      {
        fix: 'name its file, or a variable: env://NAME. Make a new key, as this one was exposed',
      },
    );
  const { passwordFor } = await import('./password.ts');
  const { readSigningKey } = await import('@lkt/sign');
  const isVariable = source.startsWith('env://');
  // Errors name the key as the user did.
  const key = await readSigningKey(source, {
    cwd,
    env: variables,
    password: async () => passwordFor({ name: source, variables }),
  });
  const { mode } = isVariable ? { mode: 0 } : await stat(resolve(cwd, source));
  if ((mode & 0o044) !== 0)
    reporter.emit({
      kind: 'warning',
      text: `other users of this machine can read ${source}; run: chmod 600 ${source}`,
    });
  return key;
}
