import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { digestOf, LktError, reportStep } from '@lkt/core';
import { LktCommand } from '../command.ts';
import type { RootRecord } from '@lkt/sign';
import { valueFlag } from '../flags/options.ts';
import { TUF_DIRECTORY } from '../session/cache-areas.ts';
import { readGiven } from '../session/paths.ts';
import { SIGNING_CONFIG } from '../session/signer.ts';

interface Result extends RootRecord {
  /** The written file. */
  readonly path: string;
  /** The file was written because its content is new. */
  readonly changed: boolean;
  /** The written signing config; undefined if the instance publishes none. */
  readonly signingConfig: string | undefined;
}

export class TrustUpdate extends LktCommand {
  static override summary = 'Fetch the trusted root and signing config of a Sigstore instance';
  static override description = `Fetches trusted_root.json by TUF, verified from the root metadata that you give; beside it signing_config.json, if the instance publishes one, and a record of the origin. Keep the files with the sources: policies name the trusted root, and verification uses no network.`;
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
    const { fetchTrustedRoot, PUBLIC_TUF, rootRecordPath } = await import('@lkt/sign');
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
    const step = { id: title, title };
    const found = await reportStep(reporter, step, async () => fetchTrustedRoot(options));
    const { text, signingConfig: config, ...versions } = found;
    const { output } = flags;
    const write = async (name: string, content: string): Promise<boolean> =>
      writeIfNew(resolve(environment.cwd, name), name, content);
    const changed = await write(output, text);
    const signingConfig = config === undefined ? undefined : join(dirname(output), SIGNING_CONFIG);
    if (signingConfig !== undefined) await write(signingConfig, config ?? '');
    const digest = digestOf(text);
    const fetched = new Date().toISOString();
    const record: RootRecord = { digest, url: redactUrl(url), fetched, ...versions };
    await write(rootRecordPath(output), `${JSON.stringify(record, undefined, 2)}\n`);
    this.endProgress();
    this.log(`${output}: ${digest}, as of ${fetched}${changed ? '' : ' (unchanged)'}`);
    return { path: output, changed, signingConfig, ...record };
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
