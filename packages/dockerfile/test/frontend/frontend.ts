import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { ContainerConfig } from '@lkt/oci';
import { goProgram } from './go-program.ts';

/** A question for BuildKit's own code: see `oracle/main.go`. */
export type Question =
  | {
      readonly word: string;
      readonly env: readonly string[];
      readonly escape: string;
      readonly isText: boolean;
    }
  | { readonly ignore: string; readonly paths: readonly string[] }
  | {
      readonly dockerfile: string;
      readonly args: Readonly<Record<string, string>>;
      readonly config: object;
    };

/** Its answer; the properties depend on the question. */
export interface Answer {
  readonly error?: string;
  readonly word?: string;
  readonly words?: readonly string[];
  readonly ignored?: readonly string[];
  readonly image?: { readonly config: ContainerConfig & { readonly ArgsEscaped?: boolean } };
  readonly runs?: readonly FrontendRun[];
}

interface FrontendRun {
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: string;
}

/** Answers questions with BuildKit's frontend, whose source is in Debian's packages. */
export async function askFrontend(questions: readonly Question[]): Promise<readonly Answer[]> {
  const directory = await goProgram('oracle', {
    path: join(import.meta.dirname, 'oracle'),
    packages: ['golang-github-docker-docker-dev', 'golang-github-agext-levenshtein-dev'],
  });
  const { stdout, stderr } = spawnSync(join(directory, 'oracle'), {
    input: questions.map((question) => `${JSON.stringify(question)}\n`).join(''),
    encoding: 'utf8',
    maxBuffer: 2 ** 30,
  });
  if (stderr !== '') throw new Error(stderr);
  const lines = stdout.trim().split('\n');
  return lines.map((line) => JSON.parse(line) as Answer);
}
