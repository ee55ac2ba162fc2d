import { join } from 'node:path';
import { LktError } from '@lkt/core';
import { monotonicNow } from '@lkt/core/clock';
import type { Store } from '@lkt/oci';
import type { KeySource } from '@lkt/oci/files';
import type { Interfaces } from '@oclif/core';
import { parse } from '@oclif/core/parser';
import {
  checkLinuxkitFlags,
  linuxkitDefinitions,
  type LinuxkitFlags,
  plainSwitches,
  warn,
} from './flags/linuxkit.ts';
import { choiceFlag, Flags, switchFlag, valueFlag, type FlagValues } from './flags/options.ts';
import { type AsCalled, warnAsCalled } from './help/as-called.ts';
import { usageError } from './help/usage.ts';
import { print } from './output/print.ts';
import { printableJson } from './output/printable.ts';
import type { Display, Screen } from './progress/display.ts';
import type { Durations } from './progress/durations.ts';
import type { KeptLogs } from './progress/kept-logs.ts';
import {
  cacheSetting,
  processEnvironment,
  PROGRESS_MODES,
  progressSetting,
} from './session/environment.ts';
import { abortOnInterrupt } from './session/interrupt.ts';
import type { Session } from './session/session.ts';

/** The flags of every command. */
export type CommonFlags = FlagValues<typeof LktCommand.baseFlags>;

type Values = Record<string, unknown>;

/** Standard error, as a screen. Creates the stream only on the first access. */
const standardError: Screen = {
  write: (text) => process.stderr.write(text),
  get columns() {
    return process.stderr.columns;
  },
  get rows() {
    return process.stderr.rows;
  },
};

/** A command class. The names of its static properties are those that oclif's help reads. */
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
  usage: string;
  new (
    words: readonly string[],
    allCommands: LktCommand['allCommands'],
    asCalled?: AsCalled,
  ): LktCommand;
}

/**
 * Base of every command. Adds the common flags, a progress display on standard error, and `--json`,
 * which prints the result of `run`. `main.ts` reports errors.
 */
export abstract class LktCommand {
  static id = '';
  /** The line under USAGE in the help. */
  static usage = '';
  static summary = '';
  static description: string | undefined;
  static examples: CommandClass['examples'];
  static args = {};
  static flags = {};
  /** LinuxKit's flags for this command that lkt does not implement. */
  static linuxkit: LinuxkitFlags = {};
  /** The exit code after a failure. */
  static failedExit = 1;
  /** Makes oclif accept the class as a command. oclif only describes commands, and runs none. */
  static run(): void {}
  static readonly baseFlags = {
    cache: valueFlag('DIR', 'store directory', { helpGroup: 'GLOBAL' }),
    json: switchFlag('print the result as JSON', { helpGroup: 'GLOBAL' }),
    progress: choiceFlag(PROGRESS_MODES, 'progress display on standard error', {
      helpGroup: 'GLOBAL',
    }),
    quiet: switchFlag('show only results and errors', { char: 'q', helpGroup: 'GLOBAL' }),
    verbose: Flags.integer({
      char: 'v',
      summary: 'level of detail: 0 is --quiet, 2 shows more',
      helpValue: 'LEVEL',
      helpGroup: 'GLOBAL',
    }),
  };

  /** The command line after the command's name. */
  protected readonly asCalled: AsCalled;
  protected readonly words: readonly string[];
  protected readonly allCommands: () => Promise<Readonly<Record<string, CommandClass>>>;

  /**
   * @param words the command line after the command's name
   * @param allCommands loads every command, for completion scripts
   * @param asCalled rewrites the commands that this one proposes
   */
  constructor(
    words: readonly string[],
    allCommands: LktCommand['allCommands'],
    asCalled: AsCalled = (text) => text,
  ) {
    this.asCalled = asCalled;
    this.words = words;
    this.allCommands = allCommands;
  }

  /** Runs the command, and returns the result that `--json` prints. */
  abstract run(): Promise<object>;

  /** Runs the command, prints the result for `--json`, and closes the progress display. */
  async execute(): Promise<void> {
    try {
      const result = await this.run();
      if (this.jsonEnabled()) print(`${printableJson(result, 2)}\n`);
    } catch (error) {
      throw await this.#failure(error as Error);
    } finally {
      this.#display?.close(false);
      this.#logs?.close();
      this.#durations?.save();
    }
  }

  /**
   * Parses the flags and arguments of the command.
   * @throws LktError USAGE_INVALID, converted from oclif's errors by `execute`
   */
  protected async parse<F extends Values, B extends Values, A extends Values>(
    command: Interfaces.Input<F, B, A>,
  ): Promise<{ readonly flags: F & B; readonly args: A }> {
    const own: Interfaces.FlagInput = { ...command.baseFlags, ...command.flags };
    const { linuxkit } = this.constructor as unknown as CommandClass;
    const flags = { ...linuxkitDefinitions(linuxkit, own), ...own };
    const words = plainSwitches(this.words, flags);
    const input = { args: command.args ?? {}, flags, context: this };
    const given = await parse([...words], input as never);
    this.#warnings = checkLinuxkitFlags(linuxkit, own, given.flags);
    if (given.flags['verbose'] === 0) given.flags['quiet'] = true;
    return given as never;
  }

  protected log(text: string): void {
    if (!this.jsonEnabled()) print(`${text}\n`);
  }

  /** Prints a line of the result at once; at a terminal once the progress display has ended. */
  protected logBelow(text: string): void {
    if (this.#isTty) this.#below.push(text);
    else this.log(text);
  }

  /** The words after the first `--`. */
  protected get wordsAfterDashes(): readonly string[] {
    const stop = this.words.indexOf('--');
    return stop === -1 ? [] : this.words.slice(stop + 1);
  }

  protected jsonEnabled(): boolean {
    const stop = this.words.indexOf('--');
    return this.words.slice(0, stop === -1 ? undefined : stop).includes('--json');
  }

  #display: Display | undefined;
  #isTty = false;
  /** Lines to print after the progress display. */
  readonly #below: string[] = [];
  #logs: KeptLogs | undefined;
  #durations: Durations | undefined;
  #warnings: readonly string[] = [];

  /** Opens the session that the command runs in. Call it once, after validating the flags. */
  protected async begin(flags: CommonFlags): Promise<Session> {
    const environment = processEnvironment();
    const mode =
      flags.quiet === true
        ? 'quiet'
        : progressSetting(flags.progress, environment, process.stderr).value;
    this.#isTty = mode === 'tty';
    const { openDisplay } = await import('./progress/open.ts');
    const cacheDir = cacheSetting(flags.cache, environment).value;
    const { Durations } = await import('./progress/durations.ts');
    const durations = new Durations(join(cacheDir, 'durations.json'));
    this.#durations = durations;
    const display = openDisplay(mode, standardError, monotonicNow, durations.last);
    this.#display = display;
    const { KeptLogs } = await import('./progress/kept-logs.ts');
    const measured = durations.measure(display, monotonicNow);
    const called = warnAsCalled(measured, this.asCalled);
    const logs = new KeptLogs(join(cacheDir, 'logs'), stamp(), called);
    this.#logs = logs;
    warn(logs, this.#warnings);
    const [{ createStoreKey }, { SealedFiles }] = await Promise.all([
      import('./session/store-key.ts'),
      import('@lkt/oci/files'),
    ]);
    const storeKey = createStoreKey(environment, logs);
    const signal = abortOnInterrupt(() => display.close(false));
    return {
      environment,
      cacheDir,
      storeKey,
      sealed: new SealedFiles(cacheDir, storeKey),
      openStore: async (options) =>
        (await import('@lkt/oci')).openStore(cacheDir, { ...options, key: storeKey }),
      findStore: async () => findStore(cacheDir, storeKey),
      reporter: logs,
      hasWarned: () => logs.hasWarned,
      signal,
    };
  }

  /** Tells a person at a terminal what to do next; nothing in scripts. */
  protected suggest(command: string): void {
    if (this.#isTty && !this.jsonEnabled())
      standardError.write(`next: ${this.asCalled(command)}\n`);
  }

  /** Ends the progress display, before other output goes to the terminal. */
  protected endProgress(): void {
    this.#display?.close(false);
    for (const line of this.#below.splice(0)) this.log(line);
  }

  async #failure(error: Error): Promise<Error> {
    const shown = await this.#withLog(error);
    // The error already contains this log.
    this.#display?.close(!(shown instanceof LktError && shown.detail !== undefined));
    this.endProgress();
    return isUsageError(shown) ? usageError(shown, this.constructor as never) : shown;
  }

  /**
   * Returns the error with the log of the failed step, instead of the excerpt that the library
   * keeps.
   */
  async #withLog(error: Error): Promise<Error> {
    const log = this.#logs?.failed;
    if (!(error instanceof LktError) || log === undefined || error.report !== undefined)
      return error;
    if (error.code !== 'BUILD_FAILED' && error.code !== 'TEST_FAILED') return error;
    const { describeLog } = await import('./progress/kept-logs.ts');
    const { code, message, fix, cause } = error;
    return new LktError(code, message, {
      cause,
      fix,
      detail: describeLog(log),
    });
  }
}

/** Reports whether oclif's parser threw the error. */
function isUsageError(error: Error): boolean {
  return 'oclif' in error;
}

/** Returns `20260102-030405-PID`: sorts by time, and is unique to this process. */
function stamp(): string {
  const time = new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');
  return `${time}-${process.pid}`;
}

async function findStore(dir: string, key: KeySource): Promise<Store | undefined> {
  const { openStore } = await import('@lkt/oci');
  try {
    return await openStore(dir, { create: false, key });
  } catch (error) {
    if (error instanceof LktError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}
