import { execFile } from 'node:child_process';
import { lstat, mkdtempDisposable, open, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { array, assert, asyncProperty, nat, tuple } from 'fast-check';
import { LktError } from '@lkt/core';
import { beforeAll, describe, expect, it } from 'vitest';
import { auditElf, type ElfReport } from '../src/elf/audit-elf.ts';
import { isElf } from '../src/elf/elf-file.ts';
import { bufferAccess, fileAccess } from '../src/elf/file-access.ts';

const BIN = '/usr/bin';
const run = promisify(execFile);

/** Reports of all ELF files in /usr/bin. */
const reports: (ElfReport & { readonly size: number })[] = [];
/** Bytes. readelf needs seconds to list the names of larger files. */
const MANY_NAMES = 4e6;

beforeAll(async () => {
  for (const name of await readdir(BIN)) {
    const path = join(BIN, name);
    if (!(await lstat(path)).isFile()) continue;
    await using handle = await open(path);
    const file = await fileAccess(handle);
    if (isElf(await file.read(0, 4)))
      reports.push({ ...(await auditElf(path, file)), size: file.size });
  }
});

describe('the facts of every program in /usr/bin agree with readelf', () => {
  it('has many programs to compare', () => {
    expect(reports.length).toBeGreaterThan(200);
  });

  it('on segments, dynamic flags and library paths', async () => {
    const shown = await readelf(['-hldW']);
    for (const { path, facts } of reports) {
      const text = shown.get(path) ?? '';
      const type = /^ +Type: +(\w+)/m.exec(text)?.[1];
      const stack = /^ +GNU_STACK .* (\w+) +0x\w+$/m.exec(text)?.[1];
      const flags = [...text.matchAll(/\((?:FLAGS|FLAGS_1)\) +(?:Flags: )?(.*)$/gm)].join(' ');
      const rpath = [...text.matchAll(/Library r(?:un)?path: \[(.*)\]/g)].map(([, names]) => names);
      expect({ path, ...facts }).toMatchObject({
        path,
        pie: type === 'DYN',
        interpreter: /Requesting program interpreter: (.*)\]/.exec(text)?.[1],
        executableStack: stack === undefined || stack.includes('E'),
        writableCode: /^ +LOAD .* (?:RWE|WE) +0x\w+$/m.test(text),
        relro: /^ +GNU_RELRO /m.test(text),
        bindNow: /\(BIND_NOW\)/.test(text) || /\bBIND_NOW\b|\bNOW\b/.test(flags),
        lazyBinding: /\(JMPREL\)/.test(text),
        rpath: rpath.flatMap((one) => one?.split(':') ?? []),
      });
    }
  });

  it('on canaries, by name or in the code', async () => {
    const small = reports.filter(({ size }) => size < MANY_NAMES);
    const shown = await readelf(['-sW'], small);
    for (const { path, facts } of small) {
      const names = /__stack_chk_fail/.test(shown.get(path) ?? '');
      if (names) expect({ path, canaries: facts.stackProtector }).toEqual({ path, canaries: true });
      if (names || facts.interpreter === undefined || !facts.stackProtector) continue;
      // A program may load canaries without a check, in functions that never return.
      const { stdout } = await run('objdump', ['-d', path], { maxBuffer: 2 ** 30 });
      expect({ path, loads: stdout.includes('%fs:0x28,') }).toEqual({ path, loads: true });
    }
  });
});

it('agrees with checksec on one program of each kind', async () => {
  const kinds = new Map<string, ElfReport>();
  for (const report of reports) {
    const { kind, language, interpreter } = report.facts;
    kinds.set(JSON.stringify([kind, language, interpreter === undefined, report.rules]), report);
  }
  expect(kinds.size).toBeGreaterThan(5);
  for (const { path, facts } of kinds.values()) {
    const { stdout } = await run('checksec', [`--file=${path}`, '--output=csv']);
    const [relro, canary, nx, pie, rpath, runpath] = stdout.split(',');
    expect({ path, relro }).toEqual({
      path,
      relro: !facts.relro ? 'No RELRO' : facts.bindNow ? 'Full RELRO' : 'Partial RELRO',
    });
    expect({ path, nx }).toEqual({
      path,
      nx: facts.executableStack ? 'NX disabled' : 'NX enabled',
    });
    expect({ path, pie: pie !== 'No PIE' }).toEqual({ path, pie: facts.pie });
    expect({ path, paths: `${rpath} ${runpath}` !== 'No RPATH No RUNPATH' }).toEqual({
      path,
      paths: facts.rpath.length > 0,
    });
    // checksec looks at names only, lkt at the code too.
    if (canary === 'Canary found')
      expect({ path, canary: facts.stackProtector }).toEqual({ path, canary: true });
  }
}, 300_000);

describe('compiled programs', () => {
  const ALL = ['-fstack-protector-strong', '-Wl,-z,relro', '-Wl,-z,now', '-fPIE', '-pie'];

  it.each([
    ['all hardening options', ALL, []],
    ['no PIE', [...ALL, '-no-pie'], ['pie']],
    ['an executable stack', [...ALL, '-Wl,-z,execstack'], ['nx']],
    ['no RELRO', [...ALL, '-Wl,-z,norelro'], ['relro']],
    ['lazy binding', [...ALL, '-Wl,-z,lazy', '-fplt'], ['bind-now']],
    ['a library path', [...ALL, '-Wl,-rpath,/opt/lib:/home/lib'], ['rpath']],
    ['no canaries', [...ALL, '-fno-stack-protector'], ['stack-protector']],
    ['a static and stripped program', [...ALL.slice(0, 3), '-fPIE', '-static-pie', '-s'], []],
  ])('with %s', async (_what, flags, failed) => {
    const { rules } = await auditElf('a.out', bufferAccess(await compiled(flags)));
    const found = Object.entries(rules).flatMap(([id, holds]) => (holds ? [] : [id]));
    expect(found).toEqual(failed);
  });

  it('fail wx with writable code', async () => {
    const flags = ['-nostdlib', '-static', '-no-pie', '-Wl,--omagic'];
    const bytes = await compiled(flags, 'void _start(void) { for (;;) ; }');
    expect((await auditElf('a.out', bufferAccess(bytes))).rules.wx).toBe(false);
  });

  it('reports any corruption as ARCHIVE_INVALID', async () => {
    const whole = await compiled(['-s']);
    await assert(
      asyncProperty(
        nat(whole.length),
        array(tuple(nat(1023), nat(255)), { maxLength: 8 }),
        async (length, changes) => {
          const bytes = Buffer.from(whole.subarray(0, length));
          for (const [at, value] of changes) if (at < length) bytes[at] = value;
          try {
            await auditElf('a.out', bufferAccess(bytes));
          } catch (error) {
            expect(error).toBeInstanceOf(LktError);
            expect((error as LktError).code).toBe('ARCHIVE_INVALID');
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

const OVERFLOWS = `#include <stdio.h>
#include <string.h>
int main(int n, char **v) { char b[64]; strcpy(b, v[0]); puts(b); return n; }
`;

async function compiled(flags: readonly string[], text = OVERFLOWS): Promise<Buffer> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-elf-'));
  const source = join(dir.path, 'a.c');
  await writeFile(source, text);
  const output = join(dir.path, 'a.out');
  await run('gcc', [source, '-O1', ...flags, '-o', output]);
  return readFile(output);
}

/** Returns readelf's output for each file. */
async function readelf(
  options: readonly string[],
  of: readonly ElfReport[] = reports,
): Promise<ReadonlyMap<string, string>> {
  const paths = of.map(({ path }) => path);
  const { stdout } = await run('readelf', [...options, ...paths, '/dev/null'], {
    maxBuffer: 2 ** 30,
    env: { ...process.env, LC_ALL: 'C' },
  }).catch((error: unknown) => error as { stdout: string });
  const parts = stdout.split(/^File: (.*)$/m);
  const found = new Map<string, string>();
  for (let at = 1; at < parts.length; at += 2) found.set(parts[at] ?? '', parts[at + 1] ?? '');
  return found;
}
