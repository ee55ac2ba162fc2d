import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type CommandClass, LktCommand } from '../../src/command.ts';
import { commandIds, loadAllCommands } from '../../src/commands.ts';
import { commandLine } from '../../src/flags/global.ts';
import { linuxkitDefinitions } from '../../src/flags/linuxkit.ts';

/** Holds docs/linuxkit.md true about LinuxKit's options. */

/** LinuxKit's options of all `pkg` commands. */
const OF_PKG =
  '--build-yml --org --tag --hash --hash-commit --hash-path --force-dirty --dev --network --nonetwork --enable-cache --disable-cache --registry-creds';
/** LinuxKit's options of `pkg build` and `pkg push`. */
const OF_PKG_BUILD =
  '--force --pull --ignore-cached --docker --platforms --skip-platforms --builders --builder-name --builder-image --builder-config --builder-restart --precache-images --release --nobuild --manifest --sbom-scanner --dockerfile --build-arg-file --progress --ssh --dry-run';
const OF_BUILDER = '--builders --builder-name --builder-image --builder-config --platforms';

/** All options of LinuxKit's commands (v1.8.2), but those of its backends and clouds. */
const LINUXKIT: Readonly<Record<string, string>> = {
  build:
    '--name --dir --o -f --format --size --pull --docker --decompress-kernel --arch --input-tar --no-sbom --sbom-output --sbom-current-time --dry-run',
  'cache clean': '--published-only',
  'cache rm': '--published-only',
  'cache ls': '',
  'cache export': '--outfile --platform --format --name',
  'cache import': '',
  'cache pull': '',
  'cache push': '--remote-name --with-arch-tags --override',
  completion: '',
  'metadata create': '',
  'pkg build': `${OF_PKG} ${OF_PKG_BUILD} --push`,
  'pkg push': `${OF_PKG} ${OF_PKG_BUILD}`,
  'pkg show-tag': `${OF_PKG} --canonical`,
  'pkg manifest': `${OF_PKG} --release`,
  'pkg index': `${OF_PKG} --release`,
  'pkg remote-tag': `${OF_PKG} --release`,
  'pkg builder du': `${OF_PKG} ${OF_BUILDER}`,
  'pkg builder prune': `${OF_PKG} ${OF_BUILDER}`,
  'run qemu':
    '--cpus --mem --disk --gui --uefi --iso --squashfs --kernel --state --data --data-file --fw --accel --arch --qemu --detached --networking --publish --usb --device --virtiofsd --virtiofs',
  serve: '--port --directory',
  version: '--short --commit',
};

const linuxkitOptions = Object.entries(LINUXKIT).flatMap(([command, flags]) =>
  flags.split(' ').flatMap((flag) => (flag === '' ? [] : [{ command, flag }])),
);

type Effect = 'works' | 'hidden' | 'noop' | 'warn' | 'unsupported' | 'unknown';

const commands = await loadAllCommands();
const text = readFileSync(new URL('../../../../docs/linuxkit.md', import.meta.url), 'utf8');
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

/** Returns the first word of the last command with several words. */
function groupOf(codes: readonly string[]): string {
  return codes.findLast((code) => code.includes(' '))?.split(' ')[0] ?? '';
}

test.each(Object.keys(LINUXKIT))('%s is a command', (command) => {
  expect(effectOf({ command, flag: '--cache' })).not.toBe('unknown');
});

test('defines every option of LinuxKit', () => {
  const unknown = linuxkitOptions.filter((claim) => effectOf(claim) === 'unknown');
  expect(unknown.map(({ command, flag }) => `${command} ${flag}`)).toEqual([]);
});

test('names every option of LinuxKit that does not just work', () => {
  const silent = linuxkitOptions.filter(
    (claim) =>
      !new RegExp(`${claim.flag}[\`= ]`).test(text) &&
      effectOf(claim) !== 'works' &&
      !(effectOf(claim) === 'noop' && OF_PKG.split(' ').includes(claim.flag)),
  );
  expect(silent.map((claim) => `${claim.command} ${claim.flag}: ${effectOf(claim)}`)).toEqual([]);
});

test('lists only commands as the same whose options all work', () => {
  const bullet = bulletsBelow('Scripts with these').find((one) => /`: all;/.test(one)) ?? '';
  const same = codesIn(headOf(bullet)).map((code, at, all) =>
    code in LINUXKIT ? code : `${groupOf(all.slice(0, at))} ${code}`,
  );
  expect(same.length).toBeGreaterThan(8);
  expect(same.filter((command) => !(command in LINUXKIT))).toEqual([]);
  const claims = linuxkitOptions.filter(({ command }) => same.includes(command));
  expectEffects(claims, ['works', 'noop', 'hidden'], 10);
});

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
