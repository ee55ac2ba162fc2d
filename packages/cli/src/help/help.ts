import { basename, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CommandHelp, Errors, flush, Help, run, settings } from '@oclif/core';
import packageJson from '../../package.json' with { type: 'json' };
import { commandIds, loadAllCommands } from '../commands.ts';
import { processEnvironment, programName } from '../session/environment.ts';
import { unknownCommand } from './usage.ts';

/** All commands. oclif imports this export by file path and name, and awaits it. */
export const commands: ReturnType<typeof loadAllCommands> = loadAllCommands();

/** The help of a command. It begins with the summary, which oclif repeats under DESCRIPTION. */
class LktCommandHelp extends CommandHelp {
  protected override description(): string | undefined {
    const { description } = this.command;
    return description === undefined ? undefined : this.wrap(description);
  }
}

/** Help of lkt. oclif imports this export by file path and name. */
export class LktHelp extends Help {
  protected override CommandHelpClass: typeof CommandHelp = LktCommandHelp;
}

/**
 * Lets oclif answer a command line that asks for help or the version.
 * @throws LktError USAGE_INVALID for an unknown command
 */
export async function showHelp(argv: readonly string[]): Promise<void> {
  settings.enableAutoTranspile = false;
  // Without it oclif looks up the user, and fails if passwd has no entry (an arbitrary uid in a
  // container).
  process.env['SHELL'] ??= '/bin/sh';
  const file = fileURLToPath(import.meta.url);
  const oclif = {
    ...packageJson.oclif,
    bin: programName(processEnvironment()),
    commands: { strategy: 'explicit', identifier: 'commands', target: `./${basename(file)}` },
    helpClass: { identifier: 'LktHelp', target: `./${basename(file)}` },
  };
  try {
    const pjson = { ...packageJson, name: 'lkt', oclif };
    await run([...argv], { root: dirname(file), pjson: pjson as never });
    await flush();
  } catch (error) {
    const unknown =
      error instanceof Errors.CLIError && /^command .* not found$/.test(error.message);
    throw unknown ? unknownCommand(argv, commandIds) : error;
  }
}
