import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startDockerRegistry } from '@lkt/testing';
import { expect, test } from 'vitest';
import { main } from './program.ts';
import { projectDirectory } from './project-directory.ts';

const howto = join(import.meta.dirname, '../../../docs/howto');

const LONG = { timeout: 400_000 };

/** Returns the text of the fenced blocks of a guide in one language. */
function blocks(page: string, language: string): readonly string[] {
  const text = readFileSync(join(howto, `${page}.md`), 'utf8');
  const fences = text.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'gm'));
  return [...fences].map(([, block = '']) => block);
}

/**
 * Lines that need the identity of a CI job, a machine that runs, databases of vulnerabilities, the
 * source of a kernel or npm's registry. The tests of these commands have them.
 */
const NEEDS_MORE = /^lkt (pkg push --all --sign --org ghcr\.io|ssh|vulns|kernel update)|^npm /;

test('the guides to arm64, ssh, publishing and updates do what they say', LONG, async () => {
  await using dir = await projectDirectory();
  await using registry = await startDockerRegistry();
  const { write } = dir;
  const env = { ...dir.env, COSIGN_PASSWORD: '' };
  const run = (script: string): string => {
    const words = ['-euc', `exec 2>&1\n${script}`];
    const done = spawnSync('bash', words, { cwd: dir.path, env, encoding: 'utf8' });
    expect(done.status, `${script}: ${done.stdout}`).toBe(0);
    return done.stdout;
  };
  /** Runs a guide. Returns what each of its lines printed. */
  const follow = (
    page: string,
    after: (output: string) => void = () => undefined,
  ): Readonly<Record<string, string>> => {
    const lines = blocks(page, 'sh')
      .flatMap((block) => block.trimEnd().split('\n'))
      .filter((line) => line !== '' && !NEEDS_MORE.test(line));
    const done = lines.map((line) => {
      const output = run(line.replace('registry.example.com', registry.host));
      after(output);
      return [line.replace(/ +#.*/, ''), output] as const;
    });
    return Object.fromEntries(done);
  };
  write('.bin/lkt', `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`);
  write('.gitignore', '.*\n*.key\n');
  write('lkt.yml', 'org: my-os\n');
  write('pkg/hello/build.yml', blocks('arm64', 'yaml')[0] ?? '');
  write('pkg/hello/Dockerfile', 'FROM scratch\nCOPY build.yml /hello\n');
  run(`chmod +x .bin/lkt
git init --quiet
git add --all
git -c user.name=A -c user.email=a@b.c commit --quiet --message one
mkdir .ssh
ssh-keygen -q -t ed25519 -N '' -f .ssh/id_ed25519
ssh-keygen -q -t ed25519 -N '' -f ca`);

  const reference = String.raw`hello:[0-9a-f]{40}@sha256:[0-9a-f]{64}`;
  expect(follow('arm64')).toEqual({
    'lkt pkg build --platforms linux/arm64 pkg/hello': expect.stringMatching(
      new RegExp(`^my-os/${reference}$`, 'm'),
    ),
  });

  expect(Object.keys(follow('ssh'))).toEqual([
    'ssh-keygen -s ca -I alice -n root -V +8h ~/.ssh/id_ed25519.pub',
  ]);
  expect(run('ssh-keygen -L -f .ssh/id_ed25519-cert.pub')).toMatch(
    /Key ID: "alice"[^]*Principals: \n\s+root\n/,
  );

  const image = new RegExp(`^${registry.host}/acme/${reference}(?= by key )`, 'm');
  const published = follow('publish', (output) => {
    const [pushed] = image.exec(output) ?? [];
    if (pushed === undefined) return;
    write('images/my-os.yml', `init: [${pushed}]\n`);
    const signers = `[{ images: ['${registry.host}/acme/*'], keys: [cosign.pub] }]`;
    write('trust.yml', `required: true\nsigners: ${signers}\n`);
  });
  expect(published).toEqual({
    'lkt key generate': expect.stringContaining('cosign.pub'),
    'lkt pkg push --all --sign --key cosign.key --org registry.example.com/acme':
      expect.stringMatching(image),
    'lkt verify images/my-os.yml': expect.stringContaining(registry.host),
  });

  expect(Object.keys(follow('update'))).toEqual([
    'lkt outdated',
    "lkt update --security --test 'npm test' --markdown summary.md",
    'lkt pkg lock --all --update',
    'lkt pin --update',
    'lkt pin',
  ]);
});
