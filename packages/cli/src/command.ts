import { join } from 'node:path';
import { LktError, type Reporter } from '@lkt/core';
import type { Store } from '@lkt/oci';
import { Command, Errors, Flags } from '@oclif/core';
import {
  cacheSetting,
  type Environment,
  processEnvironment,
  PROGRESS_MODES,
  progressSetting,
} from './environment.ts';
import { abortOnInterrupt } from './interrupt.ts';
import type { Display } from './progress/display.ts';
import type { KeptLogs } from './progress/kept-logs.ts';
import { usageError } from './usage.ts';

/** What every command accepts. */
export interface CommonFlags {
  readonly cache?: string | undefined;
  readonly progress?: (typeof PROGRESS_MODES)[number] | undefined;
  readonly quiet: boolean;
  readonly verbose?: number | undefined;
}

/** What a command needs to do its work. */
export interface Session {
  readonly environment: Environment;
  /** The directory of the store; nothing is made there before a command opens the store to write. */
  readonly cacheDir: string;
  openStore(): Promise<Store>;
  /** The store if there is one. */
  findStore(): Promise<Store | undefined>;
  readonly reporter: Reporter;
  readonly signal: AbortSignal;
}

/**
 * Base of every command: the options they share, progress on standard error, and `--json`, which prints what `run`
 * returns. Errors are left to `main.ts`.
 */
export abstract class LktCommand extends Command {
  static override enableJsonFlag = true;
  static override baseFlags = {
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

  #display: Display | undefined;
  #logs: KeptLogs | undefined;

  /** Starts what the command runs in. Call once, after the flags are known to be right. */
  protected async begin(flags: CommonFlags): Promise<Session> {
    const environment = processEnvironment();
    const mode =
      flags.quiet || flags.verbose === 0
        ? 'quiet'
        : progressSetting(flags.progress, environment, process.stderr).value;
    const { openDisplay } = await import('./progress/open.ts');
    const display = openDisplay(mode, process.stderr, () => performance.now());
    this.#display = display;
    const cacheDir = cacheSetting(flags.cache, environment).value;
    const { KeptLogs } = await import('./progress/kept-logs.ts');
    const logs = new KeptLogs(join(cacheDir, 'logs'), stamp(), display);
    this.#logs = logs;
    const signal = abortOnInterrupt(() => display.close(false));
    return {
      environment,
      cacheDir,
      openStore: async () => (await import('@lkt/oci')).openStore(cacheDir),
      findStore: async () => findStore(cacheDir),
      reporter: logs,
      signal,
    };
  }

  /** Ends the progress display before something else is written to the terminal. */
  protected endProgress(): void {
    this.#display?.close(false);
  }

  protected override async catch(error: Error): Promise<never> {
    const shown = await this.#withLog(error);
    // The log that is in the error need not be shown twice.
    this.#display?.close(!(shown instanceof LktError && shown.detail !== undefined));
    const exit = shown instanceof Errors.ExitError;
    const ours = shown instanceof Errors.CLIError && !exit;
    throw ours ? usageError(shown, this.ctor) : shown;
  }

  /** The error with the log of the step that failed, instead of the end of it that a library keeps. */
  async #withLog(error: Error): Promise<Error> {
    const log = this.#logs?.failed;
    if (!(error instanceof LktError) || error.code !== 'BUILD_FAILED' || log === undefined)
      return error;
    const { describeLog } = await import('./progress/kept-logs.ts');
    const { code, message, fix, cause } = error;
    return new LktError(code, message, {
      ...(cause === undefined ? {} : { cause }),
      ...(fix === undefined ? {} : { fix }),
      detail: describeLog(log),
    });
  }

  protected override finally(): Promise<void> {
    this.#display?.close(false);
    this.#logs?.close();
    return Promise.resolve();
  }
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
