import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'vitepress';
import { linkFiles } from '../link-files.js';
import { SECTIONS } from '../sections.ts';

const root = join(import.meta.dirname, '../../..');

/** The site of docs/ and of the README files. `build.js` copies the pages to `pages/`. */
export default defineConfig({
  title: 'lkt',
  description: 'Linux system images that anyone can rebuild and verify, bit for bit',
  srcDir: 'pages',
  outDir: join(root, 'out/site'),
  rewrites: (page) => page.replace(/(^|\/)README\.md$/, '$1index.md'),
  // A link to a page that does not exist fails the build.
  ignoreDeadLinks: false,
  vite: { esbuild: { tsconfigRaw: {} } },
  markdown: {
    // The anchors of the code hosts, which links in the documents use.
    anchor: {
      slugify: (title) =>
        title
          .toLowerCase()
          .replaceAll(/[^\p{L}\w\s-]/gu, '')
          .replaceAll(/\s/g, '-'),
    },
    config(md) {
      md.core.ruler.push('files', (state) => linkFiles(state, root));
      // `{{` in code is not an expression of Vue.
      const { code_inline: code } = md.renderer.rules;
      md.renderer.rules.code_inline = (tokens, index, ...rest) => {
        tokens[index].attrSet('v-pre', '');
        return code(tokens, index, ...rest);
      };
    },
  },
  themeConfig: {
    search: { provider: 'local' },
    nav: SECTIONS.map(({ text, pages }) => ({ text, link: linkOf(pages[0]) })),
    sidebar: SECTIONS.map(({ text, pages }) => ({
      text,
      collapsed: false,
      items: pages.map((page) => ({ text: titleOf(page), link: linkOf(page) })),
    })),
    outline: [2, 3],
  },
});

function linkOf(page) {
  return `/docs/${page.replace(/(^|\/)README$/, '$1')}`;
}

function titleOf(page) {
  const [, title] = /^# (.+)$/m.exec(readFileSync(join(root, 'docs', `${page}.md`), 'utf8')) ?? [];
  return title ?? page;
}
