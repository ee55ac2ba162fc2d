import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { startDockerRegistry } from '@lkt/testing';
import { guideSteps } from '@lkt/testing/guide-steps';
import { expect, test } from 'vitest';
import { TestArchive } from '../../../debian/test/test-archive.ts';
import { main } from '../program.ts';
import { type ProjectDirectory, projectDirectory } from '../project-directory.ts';

const howto = join(import.meta.dirname, '../../../../docs/howto');

const LONG = { timeout: 400_000 };

const read = (page: string): string => readFileSync(join(howto, `${page}.md`), 'utf8');

/** Runs a script of bash in a project, and returns what it prints. */
async function run(
  { path }: ProjectDirectory,
  script: string,
  env: NodeJS.ProcessEnv,
): Promise<string> {
  const words = ['--mount', 'bash', '-euc', `exec 2>&1\n${script}`];
  const child = spawn('unshare', words, { cwd: path, env, stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  const output = await text(child.stdout);
  expect(await closed, `${script}: ${output}`).toEqual([0, null]);
  return output;
}

/** Lets a project run this checkout as `lkt`. */
function writeProgram({ write }: ProjectDirectory): void {
  write('.bin/lkt', `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`);
  write('.gitignore', '.*\n*.key\n');
  write('lkt.yml', 'org: my-os\n');
}

const COMMIT = `chmod +x .bin/lkt
git init --quiet
git add --all
git -c user.name=A -c user.email=a@b.c commit --quiet --message one`;

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
  /** Runs a guide. Returns what each of its lines printed. */
  const follow = async (
    page: string,
    after: (output: string) => void = () => undefined,
  ): Promise<Readonly<Record<string, string>>> => {
    const done: Record<string, string> = {};
    for (const step of guideSteps(read(page))) {
      if (step.kind !== 'command' || NEEDS_MORE.test(step.command)) continue;
      const script = step.command.replace('registry.example.com', registry.host);
      const output = await run(dir, script, env);
      after(output);
      done[step.command] = output;
    }
    return done;
  };
  writeProgram(dir);
  write('pkg/hello/build.yml', /^```yaml\n([^]*?)^```$/m.exec(read('arm64'))?.[1] ?? '');
  write('pkg/hello/Dockerfile', 'FROM scratch\nCOPY build.yml /hello\n');
  const keys = `mkdir .ssh
ssh-keygen -q -t ed25519 -N '' -f .ssh/id_ed25519
ssh-keygen -q -t ed25519 -N '' -f ca`;
  await run(dir, `${COMMIT}\n${keys}`, env);

  const reference = String.raw`hello:[0-9a-f]{40}@sha256:[0-9a-f]{64}`;
  expect(await follow('arm64')).toEqual({
    'lkt pkg build --platforms linux/arm64 pkg/hello': expect.stringMatching(
      new RegExp(`^my-os/${reference}$`, 'm'),
    ),
  });

  expect(Object.keys(await follow('ssh'))).toEqual([
    'ssh-keygen -s ca -I alice -n root -V +8h ~/.ssh/id_ed25519.pub',
  ]);
  expect(await run(dir, 'ssh-keygen -L -f .ssh/id_ed25519-cert.pub', env)).toMatch(
    /Key ID: "alice"[^]*Principals: \n\s+root\n/,
  );

  const image = new RegExp(`^${registry.host}/acme/${reference}(?= by key )`, 'm');
  const published = await follow('publish', (output) => {
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

  expect(Object.keys(await follow('update'))).toEqual([
    'lkt outdated',
    "lkt update --security --test 'npm test' --markdown summary.md",
    'lkt pkg lock --all --update',
    'lkt pin --update',
    'lkt pin',
  ]);
});

test('the guide to packages builds one from Debian packages', LONG, async () => {
  await using dir = await projectDirectory();
  await using archive = await TestArchive.create();
  await archive.publish('trixie', [
    { name: 'iproute2', fields: { Depends: 'libbpf1' }, files: { 'usr/sbin/ip': 'ip' } },
    { name: 'libbpf1', files: { 'usr/lib/libbpf.so.1': 'libbpf' } },
    { name: 'tcpdump', files: { 'usr/bin/tcpdump': 'tcpdump' } },
  ]);
  const env = { ...dir.env, LKT_DEBIAN_MIRROR: archive.mirror.archives.debian[0] };
  const keyring = '/usr/share/keyrings/debian-archive-keyring.pgp';
  writeProgram(dir);
  await run(dir, COMMIT, env);
  const outputs: string[] = [];
  for (const step of guideSteps(read('package'), { begin: '## Programs from Debian' })) {
    if (step.kind === 'file') dir.write(step.path, step.text);
    else
      outputs.push(
        await run(dir, `mount --bind ${archive.keyring} ${keyring}\n${step.command}`, env),
      );
  }
  expect(outputs).toEqual([
    expect.stringContaining('debian.lock'),
    expect.stringMatching(/^my-os\/tools:\S+@sha256:[0-9a-f]{64}$/m),
  ]);
  const listed = await run(dir, 'lkt inspect --files pkg/tools', env);
  for (const path of ['/usr/bin/tcpdump', '/usr/lib/libbpf.so.1', '/usr/sbin/ip'])
    expect(listed).toContain(path);
});
