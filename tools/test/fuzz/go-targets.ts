import { execFile } from 'node:child_process';
import { globSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { moduleOptions } from '../go-modules.ts';

const top = join(import.meta.dirname, '../../..');

/** Debian's compiler, as in tools/test/guest-programs.system.test.ts. */
const GO = '/usr/lib/go-1.24/bin/go';
const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '', GOPROXY: 'off', GOTOOLCHAIN: 'local' };

/** A Go package with fuzz targets. */
export interface FuzzedPackage {
  /** Relative to the checkout. */
  readonly directory: string;
  /** The directory of its module. */
  readonly module: string;
  readonly targets: readonly string[];
}

export interface FuzzResult {
  readonly target: string;
  readonly executions: number;
}

/** Returns all packages of the guest's programs that have fuzz targets. */
export function fuzzedPackages(): readonly FuzzedPackage[] {
  const modules = globSync('{pkg,tools,projects}/**/go.mod', { cwd: top }).map(dirname);
  const targets = new Map<string, string[]>();
  for (const file of globSync('{pkg,tools,projects}/**/*_test.go', { cwd: top }).toSorted()) {
    const text = readFileSync(join(top, file), 'utf8');
    const names = [...text.matchAll(/^func (Fuzz\w+)\(\w+ \*testing\.F\)/gm)].map(
      ([, name = '']) => name,
    );
    if (names.length > 0)
      targets.set(dirname(file), [...(targets.get(dirname(file)) ?? []), ...names]);
  }
  return [...targets].map(([directory, names]) => {
    const module = modules.find((path) => `${directory}/`.startsWith(`${path}/`));
    if (module === undefined) throw new Error(`${directory} is in no Go module`);
    return { directory, module, targets: names };
  });
}

/**
 * Gives each target of a package a number of inputs, after those of the corpus. Inputs that reach
 * new code stay in the corpus, in the user's cache; an input that fails is written to
 * `testdata/fuzz` of the package.
 *
 * @param program path for the compiled tests
 * @throws Error with the end of the output if an input fails
 */
export async function fuzzPackage(
  { directory, module, targets }: FuzzedPackage,
  inputs: number,
  program: string,
): Promise<readonly FuzzResult[]> {
  const path = `./${relative(module, directory)}`;
  using modules = await moduleOptions(join(top, module));
  const build = ['test', '-c', '-fuzz=.', ...modules.options, '-o', program, path];
  await promisify(execFile)(GO, build, { cwd: join(top, module), env });
  const corpus = join(corpusDirectory(), directory);
  mkdirSync(corpus, { recursive: true });
  const results: FuzzResult[] = [];
  for (const target of targets) {
    const options = {
      run: '^$',
      fuzz: `^${target}$`,
      fuzztime: `${inputs}x`,
      // Spend the time on new inputs instead of smaller ones.
      fuzzminimizetime: '20x',
      fuzzcachedir: corpus,
      parallel: '2',
      timeout: '0',
    };
    const args = Object.entries(options).map(([name, value]) => `-test.${name}=${value}`);
    const text = await output(program, args, `${directory} ${target}`);
    const counts = [...text.matchAll(/execs: (\d+)/g)].map(([, count]) => Number(count));
    results.push({ target, executions: counts.at(-1) ?? 0 });
  }
  return results;

  async function output(file: string, args: readonly string[], name: string): Promise<string> {
    try {
      const done = await promisify(execFile)(file, args, {
        cwd: join(top, directory),
        env,
        maxBuffer: 2 ** 26,
      });
      // The counts are on standard error.
      return done.stdout + done.stderr;
    } catch (error) {
      const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
      throw new Error(`${name} found a failing input:\n${(stdout + stderr).slice(-4000)}`, {
        cause: error,
      });
    }
  }
}

/** Returns the number of inputs that earlier runs have kept. */
export function corpusSize(): number {
  const kept = readdirSync(corpusDirectory(), { recursive: true, withFileTypes: true });
  return kept.filter((entry) => entry.isFile()).length;
}

function corpusDirectory(): string {
  const { XDG_CACHE_HOME = join(homedir(), '.cache') } = process.env;
  return join(XDG_CACHE_HOME, 'lkt-fuzz');
}
