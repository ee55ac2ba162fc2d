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
    const signal = abortOnInterrupt(() => display.close(false));
    const cacheDir = cacheSetting(flags.cache, environment).value;
    return {
      environment,
      cacheDir,
      openStore: async () => (await import('@lkt/oci')).openStore(cacheDir),
      findStore: async () => findStore(cacheDir),
      reporter: display,
      signal,
    };
  }

  /** Ends the progress display before something else is written to the terminal. */
  protected endProgress(): void {
    this.#display?.close(false);
  }

  protected override catch(error: Error): Promise<never> {
    // The end of a log that is in the error need not be shown twice.
    this.#display?.close(!(error instanceof LktError && error.detail !== undefined));
    const exit = error instanceof Errors.ExitError;
    const ours = error instanceof Errors.CLIError && !exit;
    return Promise.reject(ours ? usageError(error, this.ctor) : error);
  }

  protected override finally(): Promise<void> {
    this.#display?.close(false);
    return Promise.resolve();
  }
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
