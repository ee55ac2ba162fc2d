import { resolve } from 'node:path';
import { LktError } from '@lkt/core';
import type { ContainerConfig } from '@lkt/oci';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseDockerignore } from '../../src/copy/dockerignore.ts';
import { evaluate } from '../../src/evaluate/evaluate.ts';
import { WordError } from '../../src/evaluate/word-parser.ts';
import { expandWord, expandWords } from '../../src/evaluate/words.ts';
import { parseDockerfile } from '../../src/parse/parse.ts';
import { askFrontend } from './frontend.ts';
import {
  generatedDockerfile,
  generatedPatterns,
  generatedWord,
  PATHS,
  VARIABLES,
} from './generated.ts';

/** Inputs per test in a normal run, always the same. */
const RUNS = 5000;

const wanted = process.env['LKT_FUZZ_RUNS'];
const seed =
  wanted === undefined ? 1 : Number(process.env['LKT_FUZZ_SEED'] ?? Date.now() % 2 ** 31);

function inputs<T>(arbitrary: fc.Arbitrary<T>): readonly T[] {
  return fc.sample(arbitrary, { seed, numRuns: Math.max(RUNS, Number(wanted ?? 0) / 4) });
}

/** Returns the result, or undefined for an error about the input. */
function accepted<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof LktError || error instanceof WordError) return undefined;
    throw error;
  }
}

/** Expects that at least some of the inputs were compared. */
function expectMany(compared: number): void {
  expect(compared).toBeGreaterThan(RUNS / 50);
}

test('expands words as BuildKit does', async () => {
  const variables = new Map(
    VARIABLES.map((text) => [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)]),
  );
  const words = inputs(generatedWord);
  const answers = await askFrontend(words.map((word) => ({ ...word, env: VARIABLES })));
  let compared = 0;
  for (const [index, { word, escape, isText }] of words.entries()) {
    const { error, words: split, ...theirs } = answers[index] ?? {};
    const options = { escape, variables, keepQuotes: isText };
    const ours = accepted(() => expandWord(word, options));
    // lkt expands only the default that it uses, and accepts more escapes in a pattern.
    if (error !== undefined) continue;
    // BuildKit accepts an escape at the end of a pattern if it cuts from the end.
    if (ours === undefined && /%[^}]*\\\}?/.test(word)) continue;
    compared += 1;
    expect(ours, JSON.stringify(words[index])).toBe(theirs.word);
    if (!isText) expect(expandWords(word, options), JSON.stringify(word)).toEqual(split ?? []);
  }
  expectMany(compared);
});

test('leaves out the files of .dockerignore that BuildKit leaves out', async () => {
  const texts = inputs(generatedPatterns);
  const answers = await askFrontend(texts.map((ignore) => ({ ignore, paths: PATHS })));
  let compared = 0;
  for (const [index, text] of texts.entries()) {
    const { error, ignored } = answers[index] ?? {};
    const ours = accepted(() => {
      const patterns = parseDockerignore({ path: '.dockerignore', text });
      return PATHS.filter((path) => patterns.ignores(path));
    });
    if (error !== undefined) {
      expect(ours, JSON.stringify(text)).toBeUndefined();
      continue;
    }
    compared += 1;
    expect(ours, JSON.stringify(text)).toEqual(ignored ?? []);
  }
  expectMany(compared);
});

const CONFIG: ContainerConfig = {
  User: 'bin',
  Env: ['PATH=/bin', 'X=1', 'E='],
  Entrypoint: ['/e'],
  Cmd: ['c'],
  WorkingDir: '/wd',
  Labels: { l: '1' },
  ExposedPorts: { '1/tcp': {} },
  Volumes: { '/vol': {} },
  StopSignal: 'SIGUSR1',
  Healthcheck: { Test: ['CMD', 'h'] },
  Shell: ['/bin/sh', '-c'],
};

test('evaluates Dockerfiles as BuildKit does', async () => {
  const files = inputs(generatedDockerfile);
  const image = { architecture: 'amd64', os: 'linux', config: CONFIG };
  const answers = await askFrontend(files.map((file) => ({ ...file, config: image })));
  const platform = { os: 'linux', architecture: 'amd64' };
  let compared = 0;
  for (const [index, { dockerfile: text, args }] of files.entries()) {
    const { image: theirs, runs } = answers[index] ?? {};
    const plan = accepted(() =>
      evaluate(parseDockerfile({ path: 'Dockerfile', text }), {
        buildArgs: new Map(Object.entries(args)),
        platform,
        imageConfig: () => CONFIG,
      }),
    );
    if (theirs === undefined || plan === undefined) continue;
    compared += 1;
    const steps = plan.stages.flatMap((stage) => stage.steps);
    const { ArgsEscaped: _, ...config } = theirs.config;
    expect(comparable(plan.stages.at(-1)?.config ?? {}), text).toEqual(comparable(config));
    const ours = steps.flatMap((step) =>
      step.kind === 'run' ? [[step.argv, step.env.toSorted(), step.workdir, step.user]] : [],
    );
    const expected = (runs ?? []).map((run) => [
      run.args,
      run.env.toSorted(),
      resolve(run.cwd),
      run.user,
    ]);
    expect(ours.map(asText).toSorted(), text).toEqual(expected.map(asText).toSorted());
  }
  expectMany(compared);
});

const asText = (value: unknown): string => JSON.stringify(value);

/** Returns a config without empty lists, clean paths and blanks at the end of triggers. */
function comparable(config: ContainerConfig): object {
  const { OnBuild = [], WorkingDir: _, ...rest } = config;
  const triggers = OnBuild.map((trigger) => trigger.replaceAll(/[ \t]+$/gm, ''));
  const all = Object.entries({ ...rest, triggers });
  return Object.fromEntries(
    all.filter(([, value]) => value !== null && !(Array.isArray(value) && value.length === 0)),
  );
}
