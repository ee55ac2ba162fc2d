import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { moduleOptions } from '../go-modules.ts';
import { root } from './helpers/lkt.ts';
import { proven } from './helpers/proof.ts';

/** Debian's compiler, as in tools/test/guest-programs.system.test.ts. */
const GO = '/usr/lib/go-1.24/bin/go';

/**
 * The fuzz targets, and the seconds for each, shared by two workers. Unit tests run the stored
 * corpus.
 */
const targets = [
  { module: 'pkg/dhcp', dir: './engine', fuzz: 'FuzzConversation', seconds: 360 },
  { module: 'pkg/dhcp', dir: './engine6', fuzz: 'FuzzConversation', seconds: 180 },
  { module: 'pkg/dhcp', dir: './packet', fuzz: 'FuzzParse', seconds: 180 },
  { module: 'pkg/dhcp', dir: './packet', fuzz: 'FuzzNames', seconds: 30 },
  { module: 'pkg/dhcp', dir: './packet6', fuzz: 'FuzzUnwrap', seconds: 120 },
  { module: 'pkg/dhcp', dir: './lease', fuzz: 'FuzzDecode', seconds: 60 },
  { module: 'pkg/dhcp', dir: './config6', fuzz: 'FuzzDecode', seconds: 60 },
  { module: 'pkg/ntp', dir: './packet', fuzz: 'FuzzParse', seconds: 30 },
  { module: 'pkg/metadata', dir: './iso9660', fuzz: 'FuzzReadFile', seconds: 120 },
  { module: 'pkg/metadata', dir: './userdata', fuzz: 'FuzzParse', seconds: 60 },
  { module: 'pkg/sshd', dir: './authority', fuzz: 'FuzzAuthorize', seconds: 120 },
  { module: 'pkg/sshd', dir: './message', fuzz: 'FuzzDecode', seconds: 30 },
  { module: 'pkg/sshd', dir: './role/keys', fuzz: 'FuzzSpeaker', seconds: 60 },
  { module: 'pkg/sshd', dir: './role/session', fuzz: 'FuzzModes', seconds: 30 },
  { module: 'pkg/sshd', dir: './role/speaker', fuzz: 'FuzzClient', seconds: 120 },
  { module: 'pkg/sshd', dir: './role/speaker', fuzz: 'FuzzRequest', seconds: 60 },
];

describe('parsers of untrusted input', () => {
  test.each(targets)(
    'withstand $seconds seconds of $fuzz',
    { timeout: 1_800_000 },
    async ({ module, dir, fuzz, seconds }) => {
      const said = await proven(
        `fuzz-${dir.slice(2)}-${fuzz}-${seconds}`,
        async () => run(module, dir, fuzz, seconds),
        [module],
      );
      expect(said).toMatch(/^ok\s/m);
    },
  );
});

async function run(module: string, dir: string, fuzz: string, seconds: number): Promise<string> {
  const workers = 2;
  using found = await moduleOptions(join(root, module));
  const child = spawn(
    GO,
    [
      'test',
      ...found.options,
      dir,
      '-run=^$',
      `-fuzz=^${fuzz}$`,
      `-fuzztime=${seconds / workers}s`,
      `-parallel=${workers}`,
      // Spend the time on new inputs instead of smaller ones.
      '-fuzzminimizetime=20x',
    ],
    {
      cwd: join(root, module),
      env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '', GOPROXY: 'off', GOTOOLCHAIN: 'local' },
    },
  );
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  if (status !== 0) throw new Error(`${fuzz} found a failing input:\n${text.slice(-4000)}`);
  return text;
}
