import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { makeHome } from './helpers/guest.ts';
import { type Done, lkt, root } from './helpers/lkt.ts';

const dir = mkdtempSync(join(tmpdir(), 'lkt-templates-'));
const home = makeHome(join(dir, 'home'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test.each([
  // With containerd; the port is taken.
  ['web', 'c', 'answers', '  - exec: { service: hello, command: [/usr/bin/hello], status: 1 }\n'],
  ['containerd', 'shell', 'answers over ssh', ''],
])(
  'the template %s, with a package in %s, passes its own tests',
  { timeout: 1_800_000 },
  async (template, language, check, more) => {
    const project = join(dir, template);
    const run = async (...words: readonly string[]): Promise<Done> => {
      const done = await lkt(words, { cwd: project, env: { HOME: home } });
      expect(done.status, done.stdout + done.stderr).toBe(0);
      return done;
    };
    const source = `path:${relative(project, root)}`;
    const flags = ['--template', template, '--lang', language, '--collection', source];
    const made = await lkt(['init', ...flags, project], { cwd: dir, env: { HOME: home } });
    expect(made.status, made.stderr).toBe(0);
    const config = join(project, `images/${template}.yml`);
    const text = readFileSync(config, 'utf8');
    writeFileSync(config, text.replace('  - poweroff: true\n', `${more}  - poweroff: true\n`));
    await run('pin', `images/${template}.yml`);
    await run('audit', 'image', `images/${template}.yml`);
    const { stdout } = await run(
      'test',
      '--json',
      '--boot-timeout',
      '25m',
      `images/${template}.yml`,
    );
    const { checks } = JSON.parse(stdout) as {
      readonly checks: readonly { readonly name: string; readonly outcome: string }[];
    };
    expect(checks.map(({ name, outcome }) => `${outcome} ${name}`)).toEqual([
      'passed boots',
      `passed ${check}`,
      ...(more === '' ? [] : ['passed hello runs /usr/bin/hello']),
      'passed powers off',
    ]);
  },
);
