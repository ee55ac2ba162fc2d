import { commandIds, loadAllCommands, loadCommand } from '../src/commands.ts';

/** Returns the arguments of each lkt call in a script, with a value for each variable. */
export function calls(script: string): string[][] {
  const lines = script.matchAll(
    /(xargs [-\w ]* )?(?:\.\/|(?<=^ *- |--no-run-if-empty |\| ))lkt\s+([^\n|;&<>]*)/gm,
  );
  return [...lines].map(([, xargs, line = '']) => [
    ...wordsOf(line),
    ...(xargs === undefined ? [] : ['value']),
  ]);
}

/** Splits a line of a shell into words without quotes, with a value for each variable. */
export function wordsOf(line: string): readonly string[] {
  return [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, plain]) =>
      single ?? (double ?? plain ?? '').replaceAll(/\$(?:\{\w+\}|\w+)/g, 'value'),
  );
}

/** @throws Error if lkt does not accept the arguments */
export async function accept(words: readonly string[]): Promise<void> {
  const length = [2, 1].find((count) => commandIds.includes(words.slice(0, count).join(':')));
  if (length === undefined) throw new Error(`no command is named ${words.join(' ')}`);
  const Command = await loadCommand(words.slice(0, length).join(':'));
  const command = new Command(words.slice(length), loadAllCommands) as unknown as {
    parse(command: unknown): Promise<unknown>;
  };
  await command.parse(Command);
}
