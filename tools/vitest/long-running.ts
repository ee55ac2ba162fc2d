import { relative } from 'node:path';
import type { Reporter, TestModule } from 'vitest/node';

const INTERVAL_MS = 300_000;

/** Prints every five minutes which files have run longer: the log of a killed run names them. */
export default class LongRunning implements Reporter {
  readonly #root: string;
  readonly #started = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(root: string) {
    this.#root = root;
  }

  onTestRunStart(): void {
    this.#timer = setInterval(() => this.#print(), INTERVAL_MS).unref();
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

  #print(): void {
    for (const [path, started] of this.#started) {
      const minutes = Math.round((performance.now() - started) / 60_000);
      if (minutes < INTERVAL_MS / 60_000) continue;
      process.stdout.write(`running for ${minutes} minutes: ${relative(this.#root, path)}\n`);
    }
  }
}
