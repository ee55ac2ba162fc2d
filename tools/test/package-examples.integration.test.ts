import { execFileSync } from 'node:child_process';
import {
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

/** Type-checks the examples in the READMEs of packages and in doc comments. */

const root = join(import.meta.dirname, '../..');

/**
 * Errors of the compiler that only say that an example is a part of a program: names that it does
 * not declare, and statements outside of a function.
 */
const ALLOWED = /error TS(?:1108|1163|2304|2448|2552|2584|7005|7006|7031|7034|18004|18046):|^\s|^$/;

interface Example {
  readonly file: string;
  readonly code: string;
}

function readmeExamples(): readonly Example[] {
  return globSync('packages/*/README.md', { cwd: root }).flatMap((file) =>
    codeIn(readFileSync(join(root, file), 'utf8')).map((code) => ({ file, code })),
  );
}

function commentExamples(): readonly Example[] {
  return globSync('packages/*/src/**/*.ts', { cwd: root, exclude: ['packages/cli/**'] })
    .map((file) => ({ file, text: readFileSync(join(root, file), 'utf8') }))
    .flatMap(({ file, text }) =>
      [...text.matchAll(/\/\*\*(?:(?!\*\/)[^])*@example((?:(?!\*\/)[^])*)\*\//g)]
        .flatMap(([, comment = '']) => codeIn(comment.replaceAll(/\n\s*\* ?/g, '\n')))
        .map((code) => ({ file, code: withImports(file, code) })),
    );
}

function codeIn(text: string): readonly string[] {
  return [...text.matchAll(/```ts\n([^]*?)```/g)].map(([, code = '']) => code);
}

/** Adds imports of the names that the example's own package exports. */
function withImports(file: string, code: string): string {
  const [, name = ''] = file.split('/');
  const index = readFileSync(join(root, 'packages', name, 'src/index.ts'), 'utf8');
  const exported = new Set(
    index.replaceAll(/from '[^']*'|\btype \w+|\w+ as (?=\w)/g, '').match(/\w+/g),
  );
  const declared = [...code.matchAll(/\b(?:import|const|let)\b([^=;]*)/g)].map(
    ([, names]) => names,
  );
  const own = new Set(declared.join(' ').match(/\w+/g));
  const used = new Set(code.match(/(?<![.\w])\w+/g));
  const names = [...used].filter((one) => exported.has(one) && !own.has(one));
  return names.length === 0 ? code : `import { ${names.join(', ')} } from '@lkt/${name}';\n${code}`;
}

test('the examples of packages type-check', { timeout: 180_000 }, () => {
  const examples = [...readmeExamples(), ...commentExamples()];
  expect(examples.length).toBeGreaterThan(90);
  const dir = mkdtempSync(join(tmpdir(), 'lkt-examples-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  mkdirSync(join(dir, 'code'));
  symlinkSync(join(root, 'node_modules'), join(dir, 'node_modules'));
  writeFileSync(join(dir, 'package.json'), '{"type": "module"}');
  const files = examples.map(({ file, code }, index) => {
    const path = `code/${index}-${file.replaceAll(/[/.]/g, '-')}.ts`;
    writeFileSync(join(dir, path), `${code.replaceAll(' …', ' {}')}\nexport {};\n`);
    return path;
  });
  const compilerOptions = {
    target: 'es2024',
    lib: ['es2024', 'esnext'],
    types: ['node'],
    module: 'nodenext',
    allowImportingTsExtensions: true,
    noEmit: true,
    strict: true,
    skipLibCheck: true,
    resolveJsonModule: true,
  };
  writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
  expect(problems(dir)).toEqual([]);
});

function problems(dir: string): readonly string[] {
  let output = '';
  try {
    execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', '.'], { cwd: dir, encoding: 'utf8' });
  } catch (error) {
    output = String((error as { stdout?: unknown }).stdout);
  }
  // The parts have names that no example declares.
  expect(output).toContain('error TS2304');
  return output.split('\n').filter((line) => !ALLOWED.test(line));
}
