import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SECTIONS } from '../site/sections.ts';

/** The site of the documentation. VitePress itself fails for links to pages that do not exist. */
const root = join(import.meta.dirname, '../..');
const at = (path: string): string => join(root, 'out/site', path);

test('has each document of docs/ in one section, but decisions and the pages that another lists', () => {
  const documents = globSync('docs/**/*.md', { cwd: root })
    .map((path) => path.slice('docs/'.length, -'.md'.length))
    .filter((page) => !/^(decisions|fleet\/|packages\/(?!README))/.test(page));
  const listed = SECTIONS.flatMap(({ pages }) => pages);
  expect(listed.toSorted()).toEqual(documents.toSorted());
});

test('is built with its pages, search and linked files', () => {
  execFileSync(process.execPath, ['tools/site/build.js'], { cwd: root, stdio: 'ignore' });
  for (const page of [
    'index',
    'docs/cli',
    'docs/howto/package',
    'docs/packages/sshd',
    'docs/ci/index',
  ])
    expect(existsSync(at(`${page}.html`)), page).toBe(true);
  const links = new Set(attributes('docs/howto/ssh.html', /<a[^>]* href="([^"]*)"/g));
  for (const link of [
    './../packages/metadata.html',
    '/examples/volumes.yml',
    '/docs/schema/sshd.json',
  ])
    expect(links).toContain(link);
  expect(readFileSync(at('examples/volumes.yml'), 'utf8')).toContain('services:');
  // No page loads anything from elsewhere.
  for (const path of globSync('**/*.html', { cwd: at('') }))
    for (const url of attributes(path, /<(?:script|img|iframe|link)[^>]* (?:src|href)="([^"]*)"/g))
      expect(url, path).toMatch(/^(\/|data:)/);
});

test('links to pages and headings that exist, on every page', () => {
  const headings = new Map<string, ReadonlySet<string>>();
  const headingsOf = (path: string): ReadonlySet<string> => {
    const known = headings.get(path) ?? new Set(attributes(path, / id="([^"]*)"/g));
    headings.set(path, known);
    return known;
  };
  const broken: string[] = [];
  let checked = 0;
  for (const path of globSync('**/*.html', { cwd: at('') }))
    for (const href of attributes(path, /<a[^>]* href="([^"]*)"/g)) {
      if (/^[a-z]+:/.test(href)) continue;
      const { pathname, hash } = new URL(href.replaceAll('&amp;', '&'), `http://site/${path}`);
      const target = decodeURIComponent(pathname.slice(1)).replace(/(^|\/)$/, '$1index.html');
      const anchor = decodeURIComponent(hash.slice(1));
      const resolves = existsSync(at(target)) && (anchor === '' || headingsOf(target).has(anchor));
      if (!resolves) broken.push(`${path}: ${href}`);
      checked += 1;
    }
  expect(broken).toEqual([]);
  expect(checked).toBeGreaterThan(1000);
});

/** Returns what the pattern captures in a page. */
function attributes(path: string, pattern: RegExp): readonly string[] {
  return [...readFileSync(at(path), 'utf8').matchAll(pattern)].map(([, value = '']) => value);
}
