import { createHash } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { LktError, reportStep } from '@lkt/core';
import { LktCommand } from '../command.ts';
import { valueFlag } from '../flags/options.ts';
import { TUF_DIRECTORY } from '../session/cache-areas.ts';
import { readGiven } from '../session/paths.ts';

interface Result {
  /** The written file. */
  readonly path: string;
  readonly digest: string;
  /** The file was written because its content is new. */
  readonly changed: boolean;
  readonly url: string;
  readonly fetched: string;
  /** Versions of the TUF metadata, and when that of the trusted root expires. */
  readonly rootVersion: number;
  readonly targetsVersion: number;
  readonly expires: string;
}

export class TrustUpdate extends LktCommand {
  static override summary = 'Fetch the trusted root of a Sigstore instance';
  static override description = `Fetches trusted_root.json from the TUF repository of a Sigstore instance, verified from the root metadata that you give. Keep both files with the sources: policies name the trusted root, and verification uses no network.`;
  static override examples = [
    '<%= config.bin %> trust update --root root.json',
    '<%= config.bin %> trust update --root root.json --url https://tuf.example --output keys/trusted_root.json',
  ];
  static override flags = {
    output: valueFlag('FILE', 'file to write', { default: 'trusted_root.json' }),
    root: valueFlag('FILE', 'root metadata of TUF, from a source that you trust', {
      required: true,
    }),
    url: valueFlag('URL', "URL of the TUF repository; default: that of Sigstore's public instance"),
  };

  async run(): Promise<Result> {
    const { flags } = await this.parse(TrustUpdate);
    const session = await this.begin(flags);
    const { environment, reporter, signal, cacheDir } = session;
    const { fetchTrustedRoot, PUBLIC_TUF } = await import('@lkt/sign');
    const { redactUrl } = await import('@lkt/http');
    const url = flags.url ?? PUBLIC_TUF;
    const options = {
      root: Buffer.from(await readGiven(environment.cwd, flags.root, `--root ${flags.root}`)),
      rootName: flags.root,
      url,
      directory: join(cacheDir, TUF_DIRECTORY),
      http: { env: environment.variables },
      signal,
    };
    await session.openStore();
    const title = `fetch the trusted root of ${redactUrl(url)}`;
    const { text, ...versions } = await reportStep(reporter, { id: title, title }, async () =>
      fetchTrustedRoot(options),
    );
    const changed = await writeIfNew(resolve(environment.cwd, flags.output), flags.output, text);
    const digest = `sha256:${createHash('sha256').update(text).digest('hex')}`;
    const fetched = new Date().toISOString();
    this.endProgress();
    this.log(`${flags.output}: ${digest}, as of ${fetched}${changed ? '' : ' (unchanged)'}`);
    return { path: flags.output, digest, changed, url: redactUrl(url), fetched, ...versions };
  }
}

/** Writes a file atomically, unless it has the content already; returns whether it did. */
async function writeIfNew(path: string, name: string, text: string): Promise<boolean> {
  if ((await readFile(path, 'utf8').catch(() => undefined)) === text) return false;
  const temporary = `${path}.${process.pid}.new`;
  try {
    await writeFile(temporary, text, { flush: true });
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true });
    throw new LktError('IO_FAILED', `cannot write ${name}`, { cause });
  }
  return true;
}
