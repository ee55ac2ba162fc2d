import { relative } from 'node:path';
import type { Reporter, TestModule } from 'vitest/node';

const EVERY_MS = 300_000;

/** Says every five minutes which files have been running for that long: a run that is cut off ends with what it waited for. */
export default class LongRunning implements Reporter {
  readonly #root: string;
  readonly #started = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(root: string) {
    this.#root = root;
  }

  onTestRunStart(): void {
    this.#timer = setInterval(() => this.#say(), EVERY_MS).unref();
  }

  onTestModuleStart({ moduleId }: TestModule): void {
    this.#started.set(moduleId, performance.now());
  }

  onTestModuleEnd({ moduleId }: TestModule): void {
    this.#started.delete(moduleId);
  }

  onTestRunEnd(): void {
    clearInterval(this.#timer);
  }

  #say(): void {
    for (const [path, started] of this.#started) {
      const ms = performance.now() - started;
      if (ms < EVERY_MS) continue;
      const minutes = Math.round(ms / 60_000);
      process.stdout.write(`running for ${minutes} minutes: ${relative(this.#root, path)}\n`);
    }
  }
}
