import { join } from 'node:path';
import { LktError } from '@lkt/core';
import type { Store } from '@lkt/oci';
import type { Interfaces } from '@oclif/core';
import { parse } from '@oclif/core/parser';
import {
  checkLinuxkitFlags,
  linuxkitDefinitions,
  type LinuxkitFlags,
  plainSwitches,
  warn,
} from './flags/linuxkit.ts';
import { Flags } from './flags/options.ts';
import { usageError } from './help/usage.ts';
import { print } from './output/print.ts';
import { printableJson } from './output/printable.ts';
import type { Display, Screen } from './progress/display.ts';
import type { KeptLogs } from './progress/kept-logs.ts';
import {
  cacheSetting,
  processEnvironment,
  PROGRESS_MODES,
  progressSetting,
} from './session/environment.ts';
import { abortOnInterrupt } from './session/interrupt.ts';
import type { Session } from './session/session.ts';

/** What every command accepts. */
export interface CommonFlags {
  readonly cache?: string | undefined;
  readonly progress?: (typeof PROGRESS_MODES)[number] | undefined;
  readonly quiet: boolean;
  readonly verbose?: number | undefined;
}

type Values = Record<string, unknown>;

/** The stream itself is made when something is written to it. */
const standardError: Screen = {
  write: (text) => process.stderr.write(text),
  get columns() {
    return process.stderr.columns;
  },
  get rows() {
    return process.stderr.rows;
  },
};

/** A command, before there is a command line. What is static is named as oclif's help asks for it. */
export interface CommandClass {
  readonly summary: string;
  readonly description: string | undefined;
  readonly examples:
    | readonly (string | { readonly description: string; readonly command: string })[]
    | undefined;
  readonly args: Interfaces.ArgInput;
  readonly flags: Interfaces.FlagInput;
  readonly baseFlags: Interfaces.FlagInput;
  readonly linuxkit: LinuxkitFlags;
  readonly failedExit: number;
  id: string;
  new (words: readonly string[]): LktCommand;
}

/**
 * Base of every command: the options they share, progress on standard error, and `--json`, which prints what `run`
 * returns. Errors are left to `main.ts`.
 */
export abstract class LktCommand {
  static id = '';
  static summary = '';
  static description: string | undefined;
  static examples: CommandClass['examples'];
  static args = {};
  static flags = {};
  /** Options of LinuxKit's command of this name that do not do here what they do there. */
  static linuxkit: LinuxkitFlags = {};
  /** What it exits with where it could not be done. */
  static failedExit = 1;
  /** By which oclif knows a command. It only describes them, and runs none. */
  static run(): void {}
  static readonly enableJsonFlag = true;
  static readonly baseFlags = {
    cache: Flags.string({
      summary: 'directory of the store',
      helpValue: 'DIR',
      helpGroup: 'GLOBAL',
    }),
    progress: Flags.option({ options: PROGRESS_MODES })({
      summary: 'how progress is shown, on standard error',
      helpGroup: 'GLOBAL',
    }),
    quiet: Flags.boolean({ char: 'q', summary: 'show only errors', helpGroup: 'GLOBAL' }),
    verbose: Flags.integer({ char: 'v', hidden: true }),
  };

  readonly #words: readonly string[];

  /** @param words what stands behind the command's name */
  constructor(words: readonly string[]) {
    this.#words = words;
  }

  /** Does the work, and returns what `--json` prints. */
  abstract run(): Promise<object>;

  /** Runs to the end, also of the progress display. */
  async execute(): Promise<void> {
    try {
      const result = await this.run();
      if (this.jsonEnabled()) print(`${printableJson(result, 2)}\n`);
    } catch (error) {
      throw await this.#failure(error as Error);
    } finally {
      this.#display?.close(false);
      this.#logs?.close();
    }
  }

  /** @throws LktError USAGE_INVALID, once it is through `execute` */
  protected async parse<F extends Values, B extends Values, A extends Values>(
    command: Interfaces.Input<F, B, A>,
  ): Promise<{ readonly flags: F & B & { readonly json: boolean | undefined }; readonly args: A }> {
    const json = Flags.boolean({});
    const own = { json, ...command.baseFlags, ...command.flags };
    const { linuxkit } = this.constructor as unknown as CommandClass;
    const flags = { ...linuxkitDefinitions(linuxkit, own), ...own };
    const words = plainSwitches(this.#words, flags);
    const input = { args: command.args ?? {}, flags, context: this };
    const given = await parse([...words], input as never);
    this.#warnings = checkLinuxkitFlags(linuxkit, own, given.flags);
    return given as never;
  }

  protected log(text: string): void {
    if (!this.jsonEnabled()) print(`${text}\n`);
  }

  protected jsonEnabled(): boolean {
    const stop = this.#words.indexOf('--');
    return this.#words.slice(0, stop === -1 ? undefined : stop).includes('--json');
  }

  #display: Display | undefined;
  #logs: KeptLogs | undefined;
  #warnings: readonly string[] = [];

  /** Starts what the command runs in. Call once, after the flags are known to be right. */
  protected async begin(flags: CommonFlags): Promise<Session> {
    const environment = processEnvironment();
    const mode =
      flags.quiet || flags.verbose === 0
        ? 'quiet'
        : progressSetting(flags.progress, environment, process.stderr).value;
    const { openDisplay } = await import('./progress/open.ts');
    const display = openDisplay(mode, standardError, () => performance.now());
    this.#display = display;
    const cacheDir = cacheSetting(flags.cache, environment).value;
    const { KeptLogs } = await import('./progress/kept-logs.ts');
    const logs = new KeptLogs(join(cacheDir, 'logs'), stamp(), display);
    this.#logs = logs;
    warn(logs, this.#warnings);
    const signal = abortOnInterrupt(() => display.close(false));
    return {
      environment,
      cacheDir,
      openStore: async () => (await import('@lkt/oci')).openStore(cacheDir),
      findStore: async () => findStore(cacheDir),
      reporter: logs,
      hasWarned: () => logs.hasWarned,
      signal,
    };
  }

  /** Ends the progress display before something else is written to the terminal. */
  protected endProgress(): void {
    this.#display?.close(false);
  }

  async #failure(error: Error): Promise<Error> {
    const shown = await this.#withLog(error);
    // The log that is in the error need not be shown twice.
    this.#display?.close(!(shown instanceof LktError && shown.detail !== undefined));
    return isUsageError(shown) ? usageError(shown, this.constructor as never) : shown;
  }

  /** The error with the log of the step that failed, instead of the end of it that a library keeps. */
  async #withLog(error: Error): Promise<Error> {
    const log = this.#logs?.failed;
    if (!(error instanceof LktError) || error.code !== 'BUILD_FAILED' || log === undefined)
      return error;
    const { describeLog } = await import('./progress/kept-logs.ts');
    const { code, message, fix, cause } = error;
    return new LktError(code, message, {
      cause,
      fix,
      detail: describeLog(log),
    });
  }
}

/** Whether it is what oclif says of a command line. */
function isUsageError(error: Error): boolean {
  return 'oclif' in error;
}

/** `20260102-030405-PID`: sorts by time, and is of this process. */
function stamp(): string {
  const time = new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');
  return `${time}-${process.pid}`;
}

async function findStore(dir: string): Promise<Store | undefined> {
  const { openStore } = await import('@lkt/oci');
  try {
    return await openStore(dir, { create: false });
  } catch (error) {
    if (error instanceof LktError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}
