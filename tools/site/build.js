import { execFileSync } from 'node:child_process';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Builds the site of the documentation in out/site. Installs VitePress as package-lock.json pins it. */
const dir = import.meta.dirname;
const root = join(dir, '../..');
const stamp = join(dir, 'node_modules/.lockfile-installed');

if (read(join(dir, 'package-lock.json')) !== read(stamp)) {
  execFileSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: dir });
  cpSync(join(dir, 'package-lock.json'), stamp);
}
const pages = join(dir, 'pages');
try {
  copyPages();
  const { build } = await import('vitepress');
  await build(dir);
} finally {
  rmSync(pages, { recursive: true, force: true });
}

/** Copies the Markdown files of the repository, since VitePress finds its theme only from below here. */
function copyPages() {
  rmSync(pages, { recursive: true, force: true });
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--', '*.md'];
  for (const path of execFileSync('git', args, { cwd: root, encoding: 'utf8' }).split('\0'))
    if (path !== '' && !/(^|\/)\.|(^|\/)test\//.test(path))
      cpSync(join(root, path), join(pages, path));
  // An empty tsconfig: VitePress would read that of the repository, whose target it does not know.
  writeFileSync(join(pages, 'tsconfig.json'), '{}\n');
}

function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
