import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where Debian's golang-github-containers-buildah-dev has the suite. */
const SUITE = '/usr/share/gocode/src/github.com/containers/buildah/tests/conformance';
const GO = '/usr/lib/go-1.24/bin/go';

/** A Dockerfile with a context, and what becomes of it. */
export interface ConformanceCase {
  readonly name: string;
  /** A directory of this case alone. */
  readonly context: string;
  /** Relative to the context. */
  readonly dockerfile: string;
  /** The line that must be an error; 0: the build succeeds. */
  readonly shouldFailAt: number;
  /** `buildah build --volume`, which no Dockerfile can say. */
  readonly mounts: readonly string[] | null;
  readonly buildArgs: Readonly<Record<string, string>>;
}

/**
 * The cases of the suite, with their contexts made below a directory. The table is a program in Go, so a program in Go
 * reads it: `cases.go.txt` with the text of the table in it.
 */
export function conformanceCases(directory: string): readonly ConformanceCase[] {
  const program = join(directory, 'program');
  mkdirSync(program, { recursive: true });
  const source = join(program, 'main.go');
  const main = readFileSync(join(import.meta.dirname, 'cases.go.txt'), 'utf8');
  writeFileSync(
    source,
    main.replace('// HERE', () => tableOf(`${SUITE}/conformance_test.go`)),
  );
  writeFileSync(join(program, 'go.mod'), 'module conformance\n\ngo 1.24\n');
  const env = { ...process.env, GOFLAGS: '-mod=mod', GOTOOLCHAIN: 'local', GOPROXY: 'off' };
  execFileSync(GO, ['build', '-o', 'cases', '.'], { cwd: program, env });
  const contexts = join(directory, 'contexts');
  const json = execFileSync(join(program, 'cases'), [SUITE, contexts], {
    encoding: 'utf8',
    maxBuffer: 16 * 1024 * 1024,
  });
  return JSON.parse(json) as readonly ConformanceCase[];
}

/** Type and value of the table, with what stands for types of other modules. */
function tableOf(path: string): string {
  const text = readFileSync(path, 'utf8');
  const start = text.indexOf('type (\n\ttestCaseTweakContextDirFn');
  const end = text.indexOf('\nfunc ', text.indexOf('\nvar internalTestCases = '));
  if (start === -1 || end < start) throw new Error(`${path} has no table of cases where it was`);
  return text
    .slice(start, end)
    .replaceAll(/\b(?:types\.OptionalBool|docker\.BuilderVersion)\b/g, 'string');
}
