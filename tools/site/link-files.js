import { cpSync, existsSync, statSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';

/** Directory of files that the site serves as they are. */
const PUBLIC = join(import.meta.dirname, 'pages/public');

/**
 * Makes links to files and directories of the repository work on the site: serves the files, leads to
 * the README of a directory, and leaves the names of sources and other directories as text.
 * @param state of markdown-it, whose tokens change
 * @param root top of the repository
 */
export function linkFiles({ tokens, env }, root) {
  const from = dirname(env.relativePath ?? '');
  for (const { children } of tokens)
    for (const [index, token] of (children ?? []).entries()) {
      const href = token.type === 'link_open' ? (token.attrGet('href') ?? '') : '';
      const [path] = href.split('#');
      // VitePress would lead to README.html, though the page is index.html.
      if (/(^|\/)README\.md$/.test(path))
        token.attrSet('href', href.replace(/(^|\/)README\.md/, '$1index.md'));
      if (path === '' || /^[a-z]+:|^\/|\.md$/.test(path)) continue;
      const target = posix.join(from, decodeURI(path));
      if (!existsSync(join(root, target))) continue;
      const readme = posix.join(target, 'README.md');
      if (existsSync(join(root, readme))) {
        token.attrSet('href', posix.relative(from, posix.join(target, 'index.md')));
      } else if (target.endsWith('.ts') || statSync(join(root, target)).isDirectory()) {
        const close = children.slice(index).find(({ type }) => type === 'link_close');
        for (const tag of [token, close]) Object.assign(tag, { tag: 'span', attrs: [] });
      } else {
        cpSync(join(root, target), join(PUBLIC, target));
        token.attrSet('href', `/${target}`);
        token.attrSet('target', '_self');
      }
    }
}
