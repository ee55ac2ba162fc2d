import { dirname } from 'node:path';
import { LktError } from '@lkt/core';
import type { ConfigFile, DerivedCheck } from '@lkt/image';
import type { Store, StoreCheck } from '@lkt/oci';
import { type CommonFlags, LktCommand } from '../../command.ts';
import { optionalArgs, type ParsedFlags, switchFlag } from '../../flags/options.ts';
import { compressorFlags, formatFlag, formatsOf } from '../../flags/output.ts';
import { imageArchFlag, requireAmd64 } from '../../flags/platform.ts';
import { pullFlags } from '../../flags/registry.ts';
import { givenVariables, setFlags } from '../../flags/set.ts';
import { buildTools, workspaceAt } from '../../session/build-tools.ts';
import { cacheAreas } from '../../session/cache-areas.ts';
import { readConfigFiles } from '../../session/config-file.ts';
import type { Session } from '../../session/session.ts';
import { trustOptions } from '../../session/trust.ts';

interface Result {
  readonly checked: number;
  readonly removed: readonly string[];
  /** Paths of results of earlier commands. */
  readonly cached: { readonly checked: number; readonly removed: readonly string[] };
  /** Paths of what the images of the configs are composed from. */
  readonly derived?: { readonly checked: number; readonly removed: readonly string[] };
}

type VerifyFlags = ParsedFlags<typeof CacheVerify.flags> & CommonFlags;

export class CacheVerify extends LktCommand {
  static override summary = 'Check the store: blobs by their digest, cached results by their seal';
  static override description =
    'With configs, also derives all parts of their image again, and compares. This takes as long as a first build with the same flags.';
  static override examples = [
    '<%= config.bin %> cache verify --remove',
    '<%= config.bin %> cache verify examples/sshd.yml',
  ];
  static override args = { config: optionalArgs('an image config') };
  static override flags = {
    remove: switchFlag('delete those that do not match'),
    ...setFlags,
    ...formatFlag,
    ...compressorFlags,
    ...imageArchFlag,
    ...pullFlags,
  };

  async run(): Promise<Result> {
    const { args, flags } = await this.parse(CacheVerify);
    requireAmd64(flags.arch, 'builds');
    const session = await this.begin(flags);
    const { reporter } = session;
    const configs = await readConfigFiles(args.config ?? [], session);
    const store = configs.length === 0 ? await session.findStore() : await session.openStore();
    if (store === undefined)
      return { checked: 0, removed: [], cached: { checked: 0, removed: [] } };
    const id = 'verify';
    reporter.emit({ kind: 'start', id, title: `checking ${store.dir}` });
    const areas = await cacheAreas();
    const found = await store.verify({ remove: flags.remove, areas }, (current, total) =>
      reporter.emit({ kind: 'progress', id, current, total, unit: 'items' }),
    );
    const { checked, bad, cached } = found;
    if (bad.length + cached.bad.length > 0 && !flags.remove) throw problem(found);
    reporter.emit({ kind: 'done', id, cached: false });
    const derived =
      configs.length === 0 ? undefined : await verifyConfigs(session, store, configs, flags);
    this.endProgress();
    this.log(`${checked} blobs checked, ${bad.length} removed`);
    this.log(`${cached.checked} cached results checked, ${cached.bad.length} removed`);
    if (derived !== undefined)
      this.log(`${derived.checked} of them derived again, ${derived.bad.length} removed`);
    return {
      checked,
      removed: bad.map(({ digest }) => digest),
      cached: { checked: cached.checked, removed: cached.bad },
      derived: derived && { checked: derived.checked, removed: derived.bad },
    };
  }
}

/** @throws LktError DIGEST_MISMATCH without `--remove`; as `lkt build` does */
async function verifyConfigs(
  session: Session,
  store: Store,
  configs: readonly ConfigFile[],
  flags: VerifyFlags,
): Promise<DerivedCheck> {
  const { removeDerived, verifyDerived } = await import('@lkt/image');
  const { environment, signal } = session;
  const top = dirname(configs[0]?.absolute ?? environment.cwd);
  const platform = { os: 'linux', architecture: flags.arch };
  const tools = { ...(await buildTools(session, flags, { store })), platforms: [platform] };
  const options = {
    store,
    reporter: session.reporter,
    signal,
    configs,
    platform,
    format: formatsOf(flags),
    set: givenVariables(flags),
    trust: await trustOptions(session, flags),
    homeDir: environment.home,
    compressor: flags.compressor,
    level: flags['compress-level'],
    sbom: {},
  };
  const open = async () => workspaceAt(session, top);
  const found = await verifyDerived(open, options, tools, top);
  if (found.bad.length === 0) return found;
  if (!flags.remove) throw notAsDerived(found);
  await removeDerived(found.bad);
  return found;
}

function problem({ checked, bad, cached }: StoreCheck): LktError {
  const paths = [...bad.map(({ path }) => path), ...cached.bad];
  const messages = [
    ...(bad.length === 0 ? [] : [`${bad.length} of ${checked} blobs do not match their digest`]),
    ...(cached.bad.length === 0
      ? []
      : [`${cached.bad.length} of ${cached.checked} cached results are damaged or not yours`]),
  ];
  return mismatch(messages.join('; '), paths, {
    blobs: bad.map(({ digest }) => digest),
    cached: cached.bad,
  });
}

function notAsDerived({ checked, bad }: DerivedCheck): LktError {
  const message = `${bad.length} of ${checked} cached results are not what their inputs give`;
  return mismatch(message, bad, { derived: bad });
}

function mismatch(
  message: string,
  paths: readonly string[],
  report: Readonly<Record<string, readonly string[]>>,
): LktError {
  return new LktError('DIGEST_MISMATCH', message, {
    detail: paths.map((path) => `  ${path}`).join('\n'),
    fix: 'delete them with lkt cache verify --remove; lkt builds or downloads them again',
    report,
  });
}
