import { existsSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { LktError, silentReporter } from '@lkt/core';
import { LktCommand } from '../../command.ts';
import { bootedBuildFlags } from '../../flags/build.ts';
import { warn } from '../../flags/linuxkit.ts';
import { machineFlags } from '../../flags/machine.ts';
import { listFlag, requiredArgs } from '../../flags/options.ts';
import { mebibytesOf } from '../../flags/sizes.ts';
import { DevMachine } from '../../machines/dev-machine.ts';
import { buildBootable, minimumMemory, namesConfigs } from '../../machines/image-source.ts';
import { StandbyWorker } from '../../machines/standby-worker.ts';
import { SourceWatcher } from '../../machines/source-watcher.ts';
import { render } from '../../output/error-report.ts';
import { enforceCacheMax } from '../../session/cache-limit.ts';
import { readConfigFiles } from '../../session/config-file.ts';
import type { ImageSummary } from '../../session/image-build.ts';
import type { Session } from '../../session/session.ts';

const { locked: _locked, ...flags } = bootedBuildFlags;

export class Dev extends LktCommand {
  static override summary = 'Rebuild and reboot an image whenever its sources change';
  static override description = `Boots the image in QEMU, and watches the files of the git repository. After a change it builds again; if the image differs, the machine boots the new one, with the same ports. After an error the old machine keeps running. Packages of the workspace are built from their sources, whatever their pins; nothing is pinned, and no SBOM or provenance is written.

The console is on standard output. Log in with "lkt ssh". Ctrl-C ends all.`;
  static override examples = ['<%= config.bin %> dev images/my-os.yml'];
  static override args = {
    config: requiredArgs('an image config'),
  };
  static override flags = {
    ...flags,
    ...machineFlags,
    publish: listFlag('[ADDR:]PORT:PORT[/udp]', 'forward a host port to the guest'),
  };

  async run(): Promise<object> {
    const { args, flags: given } = await this.parse(Dev);
    const memory = mebibytesOf('--mem', given.mem);
    if (!namesConfigs(args.config))
      throw new LktError('USAGE_INVALID', 'lkt dev needs configs, whose names end in .yml', {
        fix: 'name a config, such as images/my-os.yml',
      });
    const session = await this.begin(given);
    const { cwd } = session.environment;
    const outDir = resolve(cwd, given.dir ?? 'out');
    if (args.config.some((config) => !relative(outDir, resolve(cwd, config)).startsWith('../')))
      throw new LktError('USAGE_INVALID', 'the directory of the built image contains the config', {
        fix: 'choose one without sources, such as --dir out',
      });
    // Watching would wait for a name that is merely wrong.
    await readConfigFiles(args.config, session);
    const { findBootFiles, parsePublishedPort } = await import('@lkt/machine');
    const published = (given.publish ?? []).map(parsePublishedPort);
    const say = (text: string): void => {
      if (!given.quiet) process.stderr.write(`lkt dev: ${text}\n`);
    };
    const name = (args.config.at(-1) ?? '').replace(/^.*\/|\.ya?ml$/g, '');
    using watcher = new SourceWatcher(outDir);
    await using standby = new StandbyWorker(session, given);
    await using machine = new DevMachine(session, name, published, say);
    let booted = '';
    let building = session;
    for (;;) {
      watcher.watch(await sourceDirs(session, args.config));
      const begin = performance.now();
      try {
        const unwritten = { 'no-sbom': true, provenance: false, audit: false };
        const image = await buildBootable(building, args.config, given, unwritten, {
          fromSources: true,
          worker: standby.worker,
        });
        warn(session.reporter, image.built.warnings);
        this.endProgress();
        const digests = bootDigests(image.built);
        if (digests === booted) say('the image is unchanged');
        else {
          const files = await findBootFiles(image.prefix);
          await machine.boot(image.built, {
            files,
            memory,
            cpus: given.cpus,
            minimumMemory: await minimumMemory(files),
            accelerator: given.accel,
            acceleratorCache: resolve(session.cacheDir, 'kvm.json'),
            qemu: given.qemu,
            console: process.stdout,
          });
          booted = digests;
          const seconds = ((performance.now() - begin) / 1000).toFixed(1);
          say(`${name} was built and boots, after ${seconds} s`);
          await enforceCacheMax(building, await building.openStore());
        }
      } catch (error) {
        session.signal.throwIfAborted();
        if (!(error instanceof LktError) || error.code === 'TOOL_MISSING') throw error;
        this.endProgress();
        process.stderr.write(`${render(error)}\n`);
        say(booted === '' ? 'waiting for a change' : 'the machine still runs the image before');
      }
      // The steps of a rebuild would hide the console.
      building = { ...session, reporter: silentReporter };
      await standby.prepare();
      await watcher.next(session.signal);
    }
  }
}

/** Returns the digests of the boot files. */
function bootDigests({ files }: ImageSummary): string {
  const booted = files.filter(({ path }) => /-(?:kernel|initrd\.img|cmdline)$/.test(path));
  return booted.map(({ digest }) => digest).join(' ');
}

/** Returns the directories of the configs, and of the files that git does not ignore. */
async function sourceDirs(
  { environment }: Session,
  configs: readonly string[],
): Promise<readonly string[]> {
  const { cwd, variables } = environment;
  const { createGit, findSourceDirectories, findTop } = await import('@lkt/git');
  const git = createGit(variables);
  const own = configs.map((config) => dirname(resolve(cwd, config)));
  // An editor or git may be about to write the directory of a config anew.
  let existing = own[0] ?? cwd;
  while (!existsSync(existing)) existing = dirname(existing);
  const top = await findTop(git, existing);
  return top === undefined ? own : [...own, ...(await findSourceDirectories(git, top))];
}
