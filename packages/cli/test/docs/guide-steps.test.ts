import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { guideSteps } from '@lkt/testing/guide-steps';
import { expect, test } from 'vitest';

const docs = join(import.meta.dirname, '../../../../docs');

const GUIDE = `# Guide

\`\`\`sh
cd x   # there
a \\
  --b 'c #d'
\`\`\`

\`pkg/x/y.yml\`. Some
words:

\`\`\`yaml
image: y
\`\`\`

The result:

\`\`\`
no step
\`\`\`

## Next

Add the service to \`images/x.yml\`:

\`\`\`yaml
services:
\`\`\`
`;

const FIRST = [
  { kind: 'command', command: 'cd x' },
  { kind: 'command', command: "a \\\n  --b 'c #d'" },
  { kind: 'file', path: 'pkg/x/y.yml', text: 'image: y\n', isPart: false },
];
const NEXT = [{ kind: 'file', path: 'images/x.yml', text: 'services:\n', isPart: true }];

test('returns commands and files of a guide, in their order', () => {
  expect(guideSteps(GUIDE)).toEqual([...FIRST, ...NEXT]);
  expect(guideSteps(GUIDE, { end: '## Next' })).toEqual(FIRST);
  expect(guideSteps(GUIDE, { begin: '## Next' })).toEqual(NEXT);
  expect(() => guideSteps(GUIDE, { end: '## Last' })).toThrow('the guide has no heading ## Last');
});

test.each([
  [
    'package',
    [
      'pkg/web/go.mod',
      'pkg/web/main.go',
      'pkg/web/Dockerfile',
      'pkg/web/build.yml',
      'images/my-os.yml',
      'pkg/tools/build.yml',
    ],
  ],
  ['debug-boot', ['debug.yml']],
])('finds all files of the guide %s', (page, paths) => {
  const steps = guideSteps(readFileSync(join(docs, `howto/${page}.md`), 'utf8'));
  expect(steps.flatMap((step) => (step.kind === 'file' ? [step.path] : []))).toEqual(paths);
});
