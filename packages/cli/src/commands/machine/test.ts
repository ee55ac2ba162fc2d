import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { LktError, writeFileAtomic } from '@lkt/core';
import { LktCommand } from '../../command.ts';
import { type BootedBuildFlags, bootedBuildFlags } from '../../flags/build.ts';
import { warn } from '../../flags/linuxkit.ts';
import { listFlag, requiredArgs, valueFlag } from '../../flags/options.ts';
import { givenVariables } from '../../flags/set.ts';
import { timeLimitOf } from '../../flags/durations.ts';
import { mebibytesOf } from '../../flags/sizes.ts';
import { machineFlags } from '../../flags/machine.ts';
import {
  type BootableImage,
  buildBootable,
  minimumMemory,
  namesConfigs,
} from '../../machines/image-source.ts';
import { type CheckResult, isExec, testMachine } from '../../machines/machine-tests.ts';
import { junitReport } from '../../output/junit.ts';
import { readConfigFiles } from '../../session/config-file.ts';
import type { Session } from '../../session/session.ts';

interface Result {
  readonly image: string;
  /** The files that were booted. */
  readonly files: readonly { readonly path: string; readonly digest: string }[];
  readonly checks: readonly CheckResult[];
  readonly seconds: number;
}

/** The last line of lkt's init, which other systems do not print. */
const READY = 'lkt: boot complete';

export class Test extends LktCommand {
  static override summary = 'Boot an image and run the checks of its config';
  static override description = `Builds the image as "lkt build --dir out" does, boots it, and runs the checks of the section "tests" in order (docs/tests.md). Several configs are merged. If a check runs a command in a service, it boots NAME-tested instead, which adds a service that runs it.

Exits with 0 if the boot and all checks pass, else with 1 and the end of the console.`;
  static override examples = [
    '<%= config.bin %> test images/my-os.yml',
    '<%= config.bin %> test --junit results.xml images/my-os.yml',
  ];
  static override args = {
    config: requiredArgs('an image config'),
  };
  static override flags = {
    ...bootedBuildFlags,
    ...machineFlags,
    ready: listFlag('TEXT', 'text on the console that ends the boot; default: that of lkt/init'),
    'boot-timeout': valueFlag('DURATION', 'time limit of the boot', { default: '10m' }),
    'console-log': valueFlag('FILE', 'file for the console output'),
    junit: valueFlag('FILE', 'file for the results in the form of JUnit'),
  };

  async run(): Promise<Result> {
    const { args, flags } = await this.parse(Test);
    const bootMs = timeLimitOf('--boot-timeout', flags['boot-timeout']);
    const memory = mebibytesOf('--mem', flags.mem);
    if (!namesConfigs(args.config))
      throw new LktError('USAGE_INVALID', 'lkt test needs configs, whose names end in .yml', {
        fix: 'name a config, such as images/my-os.yml',
      });
    const session = await this.begin(flags);
    const { cwd } = session.environment;
    const { checkServices, loadConfig } = await import('@lkt/image');
    const configs = await readConfigFiles(args.config, session);
    const { config } = await loadConfig(configs, { set: givenVariables(flags) });
    checkServices(config.tests, config.services);
    const plain = await buildBootable(session, args.config, flags);
    const needsAgent = config.tests.some(isExec);
    const image = needsAgent ? await withTestAgent(session, plain, args.config, flags) : plain;
    warn(session.reporter, image.built.warnings);
    const { findBootFiles } = await import('@lkt/machine');
    const files = await findBootFiles(image.prefix);
    await using outputs = await openOutputs(cwd, flags);
    const booted = image.built.files.filter(({ path }) => /-(?:kernel|initrd\.img)$/.test(path));
    this.logBelow(`image  ${plain.name}`);
    if (image !== plain) this.logBelow(`boots  ${image.name}, which has lkt/test-agent too`);
    for (const { path, digest } of booted)
      this.logBelow(`${path.slice(path.lastIndexOf('-') + 1)}  ${digest}`);
    const run = await testMachine(session, {
      name: image.name,
      services: image.built.services,
      machine: {
        files,
        memory,
        cpus: flags.cpus,
        minimumMemory: await minimumMemory(files),
        accelerator: flags.accel,
        acceleratorCache: resolve(session.cacheDir, 'kvm.json'),
        qemu: flags.qemu,
        onOutput: (chunk) => outputs.console(chunk),
      },
      tests: config.tests,
      ready: (flags.ready ?? [READY]).map(literal),
      bootMs,
      onResult: (result) => this.logBelow(lineOf(result)),
    });
    this.endProgress();
    await outputs.junit(junitReport(plain.name, run));
    const { checks, seconds } = run;
    const result = {
      image: plain.name,
      files: booted.map(({ path, digest }) => ({ path, digest })),
      checks,
      seconds,
    };
    const failed = checks.filter(({ outcome }) => outcome === 'failed').length;
    if (failed === 0) return result;
    throw new LktError(
      'TEST_FAILED',
      `${failed} of ${checks.length} checks of ${plain.name} failed`,
      {
        detail: run.console.map((line) => `  | ${line}`).join('\n') || undefined,
        fix: 'see the whole console: --console-log FILE',
        report: result,
      },
    );
  }
}

/** Builds the image of configs with the agent that runs commands in its services. */
async function withTestAgent(
  session: Session,
  { prefix }: BootableImage,
  configs: readonly string[],
  flags: BootedBuildFlags,
): ReturnType<typeof buildBootable> {
  const { testAgentConfig } = await import('../../machines/test-agent.ts');
  const path = `${prefix}-tested.yml`;
  await writeFileAtomic(path, testAgentConfig());
  return buildBootable(session, [...configs, path], flags).catch((error: unknown) => {
    if (!(error instanceof LktError) || !error.message.includes('lkt/test-agent')) throw error;
    const { code, message, cause, detail } = error;
    throw new LktError(code, message, {
      cause,
      ...(detail !== undefined && { detail }),
      fix:
        code === 'NOT_FOUND'
          ? 'add the collection lkt to lkt.yml: {source: npm:@lkt/packages}'
          : (error.fix ?? 'update the collection lkt'),
    });
  });
}

function literal(text: string): RegExp {
  return new RegExp(text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`), 'u');
}

function lineOf({ name, outcome, seconds, reason }: CheckResult): string {
  const why = reason === undefined ? '' : `: ${reason}`;
  return `${outcome}  ${name}  ${seconds.toFixed(1)} s${why}`;
}

interface Outputs extends AsyncDisposable {
  console(chunk: Uint8Array): void;
  junit(text: string): Promise<void>;
}

/** Opens the files of results, so that an unwritable file fails before the machine boots. */
async function openOutputs(
  cwd: string,
  flags: { readonly 'console-log'?: string | undefined; readonly junit?: string | undefined },
): Promise<Outputs> {
  await using stack = new AsyncDisposableStack();
  const opened = async (
    name: string | undefined,
  ): Promise<Awaited<ReturnType<typeof open>> | undefined> =>
    name === undefined ? undefined : stack.use(await open(resolve(cwd, name), 'w'));
  const log = await opened(flags['console-log']);
  const junit = await opened(flags.junit);
  let written: Promise<unknown> = Promise.resolve();
  const kept = stack.move();
  return {
    console: (chunk) => {
      if (log !== undefined) written = written.then(async () => log.write(chunk));
      // Disposal throws its errors.
      written.catch(() => undefined);
    },
    junit: async (text) => junit?.writeFile(text),
    [Symbol.asyncDispose]: async () => {
      try {
        await written;
      } finally {
        await kept.disposeAsync();
      }
    },
  };
}
