import { readdirSync, readFileSync } from 'node:fs';
import { LktError } from '@lkt/core';
import { array, assert, constantFrom, property, string } from 'fast-check';
import { expect, test } from 'vitest';
import type { Instruction, Span } from '../src/parse/ast.ts';
import { evaluate } from '../src/evaluate/evaluate.ts';
import { parseDockerfile } from '../src/parse/parse.ts';
import { imageReferences } from '../src/evaluate/references.ts';

const CORPUS =
  '/usr/share/gocode/src/github.com/moby/buildkit/frontend/dockerfile/parser/testfiles';

const PIECES = [
  [
    'FROM ',
    'RUN ',
    'COPY ',
    'ADD ',
    'ENV ',
    'ARG ',
    'CMD ',
    'LABEL ',
    'USER ',
    'VOLUME ',
    'SHELL ',
  ],
  ['WORKDIR ', 'EXPOSE ', 'HEALTHCHECK ', 'ONBUILD ', 'STOPSIGNAL ', 'ENTRYPOINT ', 'scratch'],
  ['AS x', 'x', '/x/', '.', '80', 'a=b', '$x', '${x', '${x:-', '}', '%', '*', '[', ']', '"a"', '"'],
  ["'", ',', '\\', '\\\n', '\n', '\n', '\r\n', ' ', '\t', '#', '# escape=`\n', '`', '--from=x '],
  ['--from=0 ', '--mount=type=cache,target=/x ', '--mount=', '--platform=$x ', '--', '<<E', '<<-E'],
  ['\nE\n', 'NONE', '--chmod=755 ', '--interval=1s ', '\0', '\u2028', 'é', '👽'],
].flat();

/** Parses and evaluates a text; the only accepted failure is an LktError inside the text. */
function check(text: string): void {
  const file = { path: 'Dockerfile', text };
  const platform = { os: 'linux', architecture: 'amd64' };
  const buildArgs = new Map([['x', 'y z']]);
  const inFile = ({ offset, length }: Span): void => {
    expect(offset).toBeGreaterThanOrEqual(0);
    expect(length).toBeGreaterThanOrEqual(0);
    expect(offset + length).toBeLessThanOrEqual(text.length);
  };
  try {
    const dockerfile = parseDockerfile(file);
    const visit = (instruction: Instruction): void => {
      inFile(instruction);
      expect(
        text
          .slice(instruction.offset)
          .toUpperCase()
          .startsWith(instruction.keyword[0] ?? ''),
      ).toBe(true);
      for (const span of [...instruction.flags, ...instruction.heredocs]) inFile(span);
      if (instruction.keyword === 'ONBUILD') visit(instruction.trigger);
      if (instruction.keyword === 'COPY' || instruction.keyword === 'ADD') {
        for (const word of [...instruction.sources, instruction.destination]) inFile(word);
      }
    };
    for (const stage of dockerfile.stages) {
      visit(stage.from);
      stage.instructions.forEach(visit);
    }
    for (const reference of imageReferences(dockerfile, buildArgs, platform)) {
      inFile(reference);
      expect(text.slice(reference.offset, reference.offset + reference.length)).toBe(
        reference.written,
      );
    }
    const plan = evaluate(dockerfile, { buildArgs, platform, imageConfig: () => undefined });
    for (const warning of plan.warnings) expect(warning.position.line).toBeGreaterThan(0);
    // The plan must survive JSON, which worker processes receive.
    expect(JSON.parse(JSON.stringify(plan.stages.map(({ config }) => config)))).toBeDefined();
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
    expect(error.code).toBe('DOCKERFILE_INVALID');
    const [, line = '', column = ''] = /^Dockerfile:(\d+):(\d+): /.exec(error.message) ?? [];
    const lines = text.split('\n');
    expect(Number(line)).toBeGreaterThanOrEqual(1);
    expect(Number(line)).toBeLessThanOrEqual(lines.length);
    expect(Number(column)).toBeGreaterThanOrEqual(1);
    expect(Number(column)).toBeLessThanOrEqual((lines[Number(line) - 1] ?? '').length + 1);
  }
}

test('parses or rejects pieces of Dockerfiles in any order', () => {
  const text = array(constantFrom(...PIECES), { maxLength: 30 }).map((parts) => parts.join(''));
  assert(
    property(text, (rest) => {
      check(rest);
      check(`FROM scratch AS x\n${rest}`);
    }),
    { numRuns: 3000 },
  );
});

test('parses or rejects any text', () => {
  assert(property(string({ unit: 'binary', maxLength: 60 }), check), { numRuns: 1000 });
});

test('parses or rejects real Dockerfiles with a piece missing or moved', () => {
  const files = readdirSync(CORPUS).map((name) =>
    readFileSync(`${CORPUS}/${name}/Dockerfile`, 'utf8'),
  );
  for (const text of files) {
    check(text);
    for (let index = 0; index < text.length; index += 37) {
      check(text.slice(0, index) + text.slice(index + 5));
      check(text.slice(index) + text.slice(0, index));
    }
  }
});

// Work that grows faster than the size would exceed the time-out.
test('large and deep files finish in time', () => {
  check(`FROM x\nRUN ${'['.repeat(200_000)}`);
  check(`FROM x\n${'ONBUILD '.repeat(50_000)}RUN x`);
  check(`FROM x\nRUN a${' \\\n  b'.repeat(50_000)}`);
  check(`FROM x\nENV a=${'\\\n'.repeat(50_000)}b`);
  check(`FROM x\nENV ${'a=b '.repeat(20_000)}`);
  check(`FROM x AS s\n${'FROM s AS s\n'.repeat(999)}`);
  check(`FROM x\n${'ENV A=$A$A$A$A$A$A$A$Ax\n'.repeat(50)}`);
  check(`FROM x\n${'RUN x\n'.repeat(20_000)}`);
  check(`FROM x\nRUN ${'<<E '.repeat(5000)}\n${'E\n'.repeat(5000)}`);
});
