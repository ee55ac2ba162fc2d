import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type CommandClass, LktCommand } from '../src/command.ts';
import { commandIds, loadAllCommands } from '../src/commands.ts';
import { commandLine } from '../src/flags/global.ts';
import { linuxkitDefinitions } from '../src/flags/linuxkit.ts';

/** Holds docs/linuxkit.md true about LinuxKit's options. */

type Effect = 'works' | 'hidden' | 'noop' | 'warn' | 'unsupported' | 'unknown';

const commands = await loadAllCommands();
const text = readFileSync(new URL('../../../docs/linuxkit.md', import.meta.url), 'utf8');
const [, options = ''] = /\n## Commands and options\n([^]*?)\n## /.exec(text) ?? [];

/** Returns the bullets below a paragraph that begins with a text, each as one line. */
function bulletsBelow(start: string): readonly string[] {
  const [, list = ''] =
    new RegExp(`\\n${start}[^\\n]*:\\n\\n((?:[- ] [^\\n]*\\n)+)`).exec(options) ?? [];
  return list
    .trim()
    .split(/\n(?=- )/)
    .map((bullet) => bullet.replaceAll(/\n +/g, ' ').slice('- '.length));
}

interface Claim {
  readonly command: string;
  readonly flag: string;
}

/** Returns the claims of a bullet such as "`build`, `run`: `--name`, `-q`; a remark". */
function listed(bullet: string): readonly Claim[] {
  const [head, [rest = '']] = [headOf(bullet), bullet.slice(headOf(bullet).length).split(';')];
  const flags = codesIn(rest).filter((code) => /^--?[a-z]/.test(code));
  return codesIn(head).flatMap((command) =>
    flags.map((flag) => ({ command, flag: flag.split(' ')[0] ?? '' })),
  );
}

/** Returns the claims of a bullet such as "`build --pull`, `--arch`, `run --disk`: a remark". */
function inHead(bullet: string): readonly Claim[] {
  let last = '';
  return codesIn(headOf(bullet)).flatMap((code) => {
    const [command = '', flag] = code.startsWith('-') ? [last, code] : code.split(/ (?=-)/);
    last = command;
    return flag === undefined ? [] : [{ command, flag }];
  });
}

function headOf(bullet: string): string {
  return bullet.slice(0, bullet.search(/[`)s]:/) + 1);
}

function codesIn(part: string): readonly string[] {
  return [...part.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);
}

function effectOf({ command, flag }: Claim): Effect {
  const words = commandLine([...command.split(' '), flag]);
  const [first = '', second = ''] = words;
  const id = [`${first}:${second}`, first].find((name) => commandIds.includes(name));
  const found = id === undefined ? undefined : commands[id];
  if (found === undefined) return 'unknown';
  // Rewritten, such as `pkg build --push`.
  if (!words.includes(flag)) return 'works';
  return effectIn(found, flag.replace(/^--?/, ''));
}

function effectIn(command: CommandClass, name: string): Effect {
  const own = { ...LktCommand.baseFlags, ...command.flags };
  const flag = Object.entries(own).find(
    ([key, { aliases = [], char }]) => key === name || char === name || aliases.includes(name),
  )?.[1];
  if (flag !== undefined) return flag.hidden === true ? 'hidden' : 'works';
  if (!(name in linuxkitDefinitions(command.linuxkit, own))) return 'unknown';
  return command.linuxkit[name]?.effect ?? 'noop';
}

function expectEffects(claims: readonly Claim[], effects: readonly Effect[], least: number): void {
  expect(claims.length).toBeGreaterThanOrEqual(least);
  const wrong = claims.filter((claim) => !effects.includes(effectOf(claim)));
  expect(wrong.map((claim) => `${claim.command} ${claim.flag}: ${effectOf(claim)}`)).toEqual([]);
}

test('lists options that work as in LinuxKit', () => {
  expectEffects(bulletsBelow('Scripts with these').flatMap(listed), ['works', 'noop'], 25);
});

test('lists options with differences', () => {
  const effects: readonly Effect[] = ['works', 'hidden', 'unsupported', 'noop'];
  expectEffects(bulletsBelow('With differences').flatMap(inHead), effects, 14);
});

test('lists options without effect', () => {
  expectEffects(
    bulletsBelow('Accepted without effect').flatMap(listed),
    ['noop', 'warn', 'hidden'],
    20,
  );
});

test('lists options that are errors', () => {
  expectEffects(bulletsBelow('Errors that name').flatMap(inHead), ['unsupported'], 15);
});

test.each(['--cache', '--mirror', '--cert-file', '-q', '-v'])(
  'every command accepts %s',
  (flag) => {
    for (const id of commandIds) {
      const effect = effectOf({ command: id.replaceAll(':', ' '), flag });
      expect({ id, effect }).toEqual({
        id,
        effect: expect.stringMatching(/^(?:works|noop)$/) as unknown,
      });
    }
  },
);
