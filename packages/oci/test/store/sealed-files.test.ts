import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { SealedFiles, withoutSeal } from '../../src/store/sealed-files.ts';

const KEY = 'a'.repeat(64);
let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lkt-sealed-'));
  mkdirSync(join(dir, 'steps'));
  mkdirSync(join(dir, 'segments'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
});

describe('SealedFiles', () => {
  it('reads what it sealed, and nothing that differs in a bit', () => {
    const sealed = new SealedFiles(dir, () => KEY);
    const path = join(dir, 'steps/a');
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.nat(),
        fc.integer({ min: 0, max: 7 }),
        (text, at, bit) => {
          const valid = text.toWellFormed();
          writeFileSync(path, sealed.seal(path, valid));
          expect(sealed.read(path)).toBe(valid);
          const bytes = readFileSync(path);
          expect(withoutSeal(bytes.toString())).toBe(valid);
          const index = at % bytes.length;
          bytes[index] = (bytes[index] ?? 0) ^ (1 << bit);
          writeFileSync(path, bytes);
          expect(sealed.read(path)).toBeUndefined();
        },
      ),
    );
  });

  it('rejects a file truncated at any byte', () => {
    const sealed = new SealedFiles(dir, () => KEY);
    const path = join(dir, 'steps/a');
    const content = sealed.seal(path, 'a text');
    for (let end = 0; end < content.length; end += 1) {
      writeFileSync(path, content.slice(0, end));
      expect(sealed.read(path)).toBeUndefined();
    }
  });

  it('rejects a moved file', () => {
    const sealed = new SealedFiles(dir, () => KEY);
    for (const other of ['steps/b', 'segments/a']) {
      writeFileSync(join(dir, other), sealed.seal(join(dir, 'steps/a'), 'text'));
      expect(sealed.read(join(dir, other))).toBeUndefined();
    }
  });

  it('rejects a file sealed with another key, and a missing file', () => {
    const path = join(dir, 'steps/a');
    const sealed = new SealedFiles(dir, () => KEY);
    expect(sealed.read(path)).toBeUndefined();
    writeFileSync(path, new SealedFiles(dir, () => 'b'.repeat(64)).seal(path, 'text'));
    expect(sealed.read(path)).toBeUndefined();
    writeFileSync(path, 'text');
    expect(sealed.read(path)).toBeUndefined();
    writeFileSync(path, 'text'.repeat(100));
    expect(sealed.read(path)).toBeUndefined();
  });

  it('shares a key of the process by default', () => {
    const path = join(dir, 'steps/a');
    writeFileSync(path, new SealedFiles(dir).seal(path, 'text'));
    expect(new SealedFiles(dir).read(path)).toBe('text');
  });

  it('asks for the key when it is needed, and once', () => {
    let asked = 0;
    const sealed = new SealedFiles(dir, () => {
      asked += 1;
      return KEY;
    });
    expect(asked).toBe(0);
    sealed.seal(join(dir, 'a'), '');
    sealed.seal(join(dir, 'b'), '');
    expect(asked).toBe(1);
  });

  it('reads of an ignored directory only its own files', () => {
    const paths = ['steps/a', 'segments/a'].map((name) => join(dir, name));
    const before = new SealedFiles(dir, () => KEY);
    for (const path of paths) writeFileSync(path, before.seal(path, 'old'));
    const sealed = new SealedFiles(dir, () => KEY, ['segments']);
    expect(paths.map((path) => sealed.read(path))).toEqual(['old', undefined]);
    for (const path of paths) writeFileSync(path, sealed.seal(path, 'new'));
    expect(paths.map((path) => sealed.read(path))).toEqual(['new', 'new']);
  });
});
