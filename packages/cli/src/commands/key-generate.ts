import { lstat, rm, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { isErrno, LktError } from '@lkt/core';
import { LktCommand } from '../command.ts';
import { choiceFlag, switchFlag, valueFlag } from '../flags/options.ts';

interface Result {
  readonly privateKey: string;
  readonly publicKey: string;
  /** SHA-256 of the public key. */
  readonly fingerprint: string;
}

export class KeyGenerate extends LktCommand {
  static override summary = 'Generate a key for signing images';
  static override description = `Writes PREFIX.key and PREFIX.pub in the format of cosign: a private key, encrypted with a password, and its public key. Never overwrites a file. Asks for the password unless COSIGN_PASSWORD is set.`;
  static override examples = [
    '<%= config.bin %> key generate --type ed25519 --output-key-prefix keys/release',
  ];
  static override flags = {
    'no-password': switchFlag(
      'encrypt with an empty password: everyone who can read the file can sign',
    ),
    type: choiceFlag(['ecdsa', 'ed25519'], 'type of the key: ECDSA on P-256, or Ed25519', {
      default: 'ecdsa',
    }),
    'output-key-prefix': valueFlag('PREFIX', 'prefix of both file names', { default: 'cosign' }),
  };

  async run(): Promise<Result> {
    const { flags } = await this.parse(KeyGenerate);
    const { environment } = await this.begin(flags);
    const prefix = flags['output-key-prefix'];
    const [privateKey, publicKey] = [`${prefix}.key`, `${prefix}.pub`];
    const paths = [privateKey, publicKey].map((name) => resolve(environment.cwd, name));
    const [privatePath = '', publicPath = ''] = paths;
    // Before the user chooses a password in vain.
    for (const path of paths) await requireFree(path);
    const { passwordFor } = await import('../session/password.ts');
    const password = flags['no-password']
      ? ''
      : await passwordFor({ name: privateKey, isNew: true, variables: environment.variables });
    const { generateKey, readPublicKey } = await import('@lkt/sign');
    const pair = await generateKey(password, flags.type);
    await writeNew(privatePath, pair.privateKey, 0o600);
    try {
      await writeNew(publicPath, pair.publicKey, 0o644);
    } catch (error) {
      await rm(privatePath, { force: true });
      throw error;
    }
    const { fingerprint } = await readPublicKey(pair.publicKey);
    this.endProgress();
    this.log(`${privateKey} and ${publicKey}: ${fingerprint}`);
    return { privateKey, publicKey, fingerprint };
  }
}

async function requireFree(path: string): Promise<void> {
  try {
    // A dangling symlink counts as an existing file.
    await lstat(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return;
    throw error;
  }
  throw taken(path);
}

async function writeNew(path: string, text: string, mode: number): Promise<void> {
  try {
    await writeFile(path, text, { flag: 'wx', mode, flush: true });
  } catch (error) {
    if (isErrno(error, 'EEXIST')) throw taken(path);
    if (isErrno(error, 'ENOENT', 'ENOTDIR'))
      throw new LktError('NOT_FOUND', `there is no directory for ${path}`, { cause: error });
    await rm(path, { force: true });
    throw error;
  }
}

function taken(path: string): LktError {
  return new LktError('USAGE_INVALID', `${path} already exists, and keys are never overwritten`, {
    fix: 'use another --output-key-prefix, or move the existing key away',
  });
}
