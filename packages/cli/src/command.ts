import { Command } from '@oclif/core';

/** Base of every command: `--json` everywhere, and errors are left to `main.ts`. */
export abstract class LktCommand extends Command {
  static override enableJsonFlag = true;
}
