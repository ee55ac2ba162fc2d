import { basename, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Errors, flush, run, settings } from '@oclif/core';
import packageJson from '../../package.json' with { type: 'json' };
import { commandIds, loadAllCommands } from '../commands.ts';
import { processEnvironment, programName } from '../session/environment.ts';
import { unknownCommand } from './usage.ts';

/** Every command. oclif finds commands by the path of a file and the name of an export, and awaits it. */
export const commands: ReturnType<typeof loadAllCommands> = loadAllCommands();

/**
 * Has oclif answer a command line that asks for help or for the version.
 * @throws LktError USAGE_INVALID for a command that is none
 */
export async function showHelp(argv: readonly string[]): Promise<void> {
  settings.enableAutoTranspile = false;
  // Without it oclif looks the user up, and fails for one without an entry in passwd (a container's arbitrary uid).
  process.env['SHELL'] ??= '/bin/sh';
  const file = fileURLToPath(import.meta.url);
  const oclif = {
    ...packageJson.oclif,
    bin: programName(processEnvironment()),
    commands: { strategy: 'explicit', identifier: 'commands', target: `./${basename(file)}` },
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
