import { execFileSync } from 'node:child_process';
import { realpathSync } from 'node:fs';
import type { ContextFile } from '@lkt/builder';
import { toRaw } from '@lkt/oci';

/** The modules of Python that the fixtures import. */
const MODULES = 'encodings.idna, py_compile, uuid, zipfile';

/**
 * Returns dynamically linked programs of this machine, with their libraries and the modules of
 * Python, as files of a context below `tools/`.
 */
export function hostPrograms(paths: readonly string[]): ContextFile[] {
  const found = new Set([...paths, ...paths.flatMap(librariesOf), ...pythonModules()]);
  return [...found].map((path) => ({
    path: toRaw(`tools${path}`),
    source: realpathSync(path),
  }));
}

function librariesOf(path: string): string[] {
  const lines = execFileSync('ldd', [path], { encoding: 'utf8' });
  return [...lines.matchAll(/(?:=> |^\s+)(\/\S+) \(0x/gm)].map(([, library = '']) => library);
}

function pythonModules(): string[] {
  const list = `import sys, ${MODULES}; print(*(m.__spec__.origin for m in list(sys.modules.values()) if getattr(m, '__spec__', None)), sep='\\n')`;
  const lines = execFileSync('/usr/bin/python3', ['-S', '-c', list], { encoding: 'utf8' });
  const modules = lines.split('\n').filter((line) => line.startsWith('/usr/lib/'));
  return [...modules, ...modules.filter((path) => path.endsWith('.so')).flatMap(librariesOf)];
}
