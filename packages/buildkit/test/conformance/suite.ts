import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The suite in Debian's golang-github-containers-buildah-dev. */
const SUITE = '/usr/share/gocode/src/github.com/containers/buildah/tests/conformance';
const GO = '/usr/lib/go-1.24/bin/go';

/** A Dockerfile with a context, and the expected result. */
export interface ConformanceCase {
  readonly name: string;
  /** A directory of its own. */
  readonly context: string;
  /** Relative to the context. */
  readonly dockerfile: string;
  /** The line with the expected error; 0: the build succeeds. */
  readonly shouldFailAt: number;
  /** `buildah build --volume`, which a Dockerfile cannot express. */
  readonly mounts: readonly string[] | null;
  readonly buildArgs: Readonly<Record<string, string>>;
}

/**
 * Returns the cases of the suite, and creates their contexts below a directory. The table is Go
 * code, so a Go program reads it: `cases.go.txt` with the text of the table.
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

/** Returns the type and value of the table, without types of other modules. */
function tableOf(path: string): string {
  const text = readFileSync(path, 'utf8');
  const start = text.indexOf('type (\n\ttestCaseTweakContextDirFn');
  const end = text.indexOf('\nfunc ', text.indexOf('\nvar internalTestCases = '));
  if (start === -1 || end < start) throw new Error(`${path} has no table of cases where it was`);
  return text
    .slice(start, end)
    .replaceAll(/\b(?:types\.OptionalBool|docker\.BuilderVersion)\b/g, 'string');
}
