import { describe, expect, test } from 'vitest';
import { avoidedWords } from '../words/avoided.ts';
import { findingsOf } from '../words/findings.ts';
import { proseOf, sentencesOf } from '../words/markdown.ts';
import { piecesOf } from '../words/pieces.ts';
import { problemOfSubject } from '../words/subject.ts';

const GLOSSARY = `# Glossary

### Names to avoid

- World, \`Elsewhere\`: Variation, WorkerPool

### Phrases to avoid

- \`nobody\`, \`what is there\`: name the actor
`;
const avoided = avoidedWords(GLOSSARY);

function messages(path: string, source: string): readonly string[] {
  return findingsOf(path, source, avoided).map(({ line, message }) => `${line}: ${message}`);
}

function kindsOf(source: string, language: 'ts' | 'go' = 'ts'): readonly string[] {
  return piecesOf(source, language)
    .filter(({ text }) => text.trim() !== '')
    .map(({ kind, text }) => `${kind} ${text.trim()}`);
}

function sentenceOf(words: number): string {
  return `Word ${'word '.repeat(words - 2)}end.`;
}

describe('avoidedWords', () => {
  test('reads only words in backticks', () => {
    expect([...avoided.names]).toEqual([['Elsewhere', 'Variation, WorkerPool']]);
    expect([...avoided.phrases.keys()]).toEqual(['nobody', 'what is there']);
  });

  test('rejects a glossary without the lists', () => {
    expect(() => avoidedWords('# Glossary\n')).toThrow('no list under "Names to avoid"');
  });
});

describe('piecesOf', () => {
  test('tells comments, strings and code apart', () => {
    expect(kindsOf(`const a = '// no'; // tail\n// next\nlet b = "it's"; /* c */`)).toEqual([
      'code const a =',
      "string '// no'",
      'code ;',
      'comment tail',
      'comment next',
      'code let b =',
      `string "it's"`,
      'code ;',
      'comment c',
    ]);
  });

  test('joins adjacent line comments', () => {
    expect(piecesOf('// one\n  // two\nx', 'ts')[0]?.text).toBe('   one\n     two');
  });

  test('reads templates with nested braces, templates and strings', () => {
    expect(kindsOf('`a ${f({ b: `c ${d}` }, "}")} e`; // f')).toEqual([
      'string `a ${',
      'code f({ b:',
      'string `c ${',
      'code d',
      'string }`',
      'code },',
      'string "}"',
      'code )',
      'string } e`',
      'code ;',
      'comment f',
    ]);
  });

  test('tells a regular expression from a division', () => {
    expect(kindsOf(`const a = /['"/]/.test(b);\nreturn c / d; // '`)).toEqual([
      `code const a = /['"/]/.test(b);\nreturn c / d;`,
      "comment '",
    ]);
  });

  test('reads raw strings of Go', () => {
    expect(kindsOf('a := `\\`; b := "\\"" // c', 'go')).toEqual([
      'code a :=',
      'string `\\`',
      'code ; b :=',
      'string "\\""',
      'comment c',
    ]);
  });
});

describe('findingsOf', () => {
  test('finds a phrase across lines of a comment, with its line', () => {
    expect(messages('a.ts', '/**\n * Takes what is\n * there.\n */\n')).toEqual([
      '2: avoid "what is there": name the actor',
    ]);
    expect(messages('a.go', 'package a\n\n// Nobody reads it.\n')).toHaveLength(1);
    expect(messages('a/build.yml', 'a: 1\n# Nobody reads it.\n')).toHaveLength(1);
  });

  test('finds every occurrence of a phrase', () => {
    const keys = avoidedWords(GLOSSARY.replace('`nobody`', '`is none`'));
    const source = '// A key is none. Undefined if there is none, or if there\n// is none.\n';
    expect(findingsOf('a.ts', source, keys)).toHaveLength(3);
  });

  test('finds a phrase in a sentence of a string, but not in a single word', () => {
    expect(messages('a.ts', "f('nobody'); g('nobody reads it');")).toHaveLength(1);
  });

  test('ignores a phrase in backticks, and as a part of a word', () => {
    expect(messages('a.ts', '// The user `nobody` and nobody-knows.\n')).toEqual([]);
    expect(messages('a.md', 'The user `nobody`.\n\n```\nnobody\n```\n')).toEqual([]);
  });

  test('finds a name in code, but not in a comment or as a property', () => {
    expect(messages('a.ts', '// Elsewhere\nconst a: Elsewhere = b.Elsewhere;\n')).toEqual([
      '2: avoid "Elsewhere": Variation, WorkerPool',
    ]);
  });

  test('finds a comment that begins with "What", unless it asks', () => {
    expect(messages('a.ts', '/** What a build returns. */\n')).toHaveLength(1);
    expect(messages('a.ts', '// What now?\n')).toEqual([]);
  });

  test('finds "Whether" before a function, but not before a field', () => {
    expect(messages('a.ts', '/** Whether a is b. */\nexport function isB(): boolean {}')).toEqual([
      '1: the comment of a function begins with "Reports whether"',
    ]);
    expect(messages('a.ts', '/** Whether a is b. */\n  readonly isB: boolean;')).toEqual([]);
    expect(messages('a.go', '// Whether a is b.\nfunc isB() bool {}')).toHaveLength(1);
  });

  test('finds a wide comment, unless a URL makes it wide', () => {
    expect(messages('a.ts', `a(); // ${'w '.repeat(50)}`)).toEqual([
      '1: a comment 108 columns wide; at most 100',
    ]);
    expect(messages('a.ts', `// ${'w '.repeat(50)} https://example.org`)).toEqual([]);
  });

  test('finds a sentence over 40 words in Markdown', () => {
    expect(
      messages('a.md', `# A\n\n${sentenceOf(40)} ${sentenceOf(40)}\n- ${sentenceOf(40)}\n`),
    ).toEqual([]);
    expect(messages('a.md', `# A\n\nFirst.\n${sentenceOf(41)}\n`)).toEqual([
      '4: a sentence of 41 words; at most 40',
    ]);
  });
});

test('sentencesOf counts a code span as one word and skips tables', () => {
  const prose = proseOf('Run `a b c` now. Then `d`\nis there.\n\n| a | b |\n');
  expect(sentencesOf(prose)).toEqual([
    { offset: 0, words: 3 },
    { offset: 17, words: 4 },
  ]);
});

describe('problemOfSubject', () => {
  test.each([
    'Reject references without a digest',
    'Process events in order',
    'Embed the schema',
    'Cross-compile the kernel for arm64',
    'Revert "Add a cache"',
  ])('accepts %s', (subject) => {
    expect(problemOfSubject(subject)).toBeUndefined();
  });

  test.each([
    ['The end of a program is awaited', '"The" is not an imperative'],
    ['Benchmarks of composing', '"Benchmarks" is not an imperative'],
    ['Added a cache', '"Added" is not an imperative'],
    ['Adding a cache', '"Adding" is not an imperative'],
    ['Whoever asks is answered', '"Whoever" is not an imperative'],
    ['fix the cache', 'it does not begin with a capitalised verb'],
    ['erofs: fix the end', 'it does not begin with a capitalised verb'],
    ['Fix', 'it does not begin with a capitalised verb'],
    [`Fix ${'a'.repeat(69)}`, '73 characters; at most 72'],
  ])('rejects %s', (subject, problem) => {
    expect(problemOfSubject(subject)).toBe(problem);
  });
});
