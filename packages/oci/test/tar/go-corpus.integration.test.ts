import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { LktError } from '@lkt/core';
import { expect, test } from 'vitest';
import { chunks, listTar } from '../support.ts';

/** The test archives of Go's archive/tar (Debian: golang-1.24-src). */
const CORPUS = '/usr/share/go-1.24/src/archive/tar/testdata';

/** Lists an archive with Python's tarfile; fails if it rejects the archive or stops early. */
const PYTHON = `
import hashlib, json, sys, tarfile
tarfile.TarFile.errorlevel = 2
result = {}
types = {b'0': 'file', b'\\0': 'file', b'7': 'file', b'1': 'hardlink', b'2': 'symlink', b'3': 'char', b'4': 'block', b'5': 'directory', b'6': 'fifo'}
for path in sys.argv[1:]:
  entries = []
  try:
    with tarfile.open(path, 'r:', encoding='latin-1') as archive:
      for one in archive:
        data = archive.extractfile(one) if one.isfile() else None
        entries.append({
          'path': one.name.strip('/'), 'type': 'file' if one.issparse() else types.get(one.type, str(one.type)),
          'mode': one.mode & 0o7777, 'uid': one.uid, 'gid': one.gid, 'mtime': int(one.mtime // 1), 'link': one.linkname if one.islnk() or one.issym() else '',
          'size': one.size if one.isfile() else 0,
          'sum': hashlib.sha256(data.read() if data and one.size < 2**24 else b'').hexdigest()})
  except Exception as error:
    entries = str(error)
  result[path] = entries
json.dump(result, sys.stdout)
`;

const paths = readdirSync(CORPUS)
  .filter((name) => name.endsWith('.tar'))
  .map((name) => join(CORPUS, name));

const python = JSON.parse(
  execFileSync('python3', ['-c', PYTHON, ...paths], { encoding: 'utf8', maxBuffer: 2 ** 26 }),
) as Readonly<Record<string, unknown>>;

/** Archives that lkt rejects, with the message. */
const REJECTED: Readonly<Record<string, string>> = {
  'gnu-incremental.tar': 'entries of type "D"',
  'gnu-nil-sparse-data.tar': 'sparse files',
  'gnu-nil-sparse-hole.tar': 'sparse files',
  'gnu-sparse-big.tar': 'sparse files',
  'issue10968.tar': 'sparse files',
  'issue11169.tar': 'is truncated',
  'issue12435.tar': 'has an invalid size',
  'neg-size.tar': 'has an invalid mode',
  'pax-bad-hdr-file.tar': 'has an invalid PAX header',
  'pax-bad-mtime-file.tar': 'has an invalid mtime',
  'pax-global-records.tar': 'sets the path of every entry',
  'pax-nil-sparse-data.tar': 'sparse files',
  'pax-nil-sparse-hole.tar': 'sparse files',
  'pax-nul-path.tar': 'has an invalid PAX header',
  'pax-nul-xattrs.tar': 'has an invalid PAX header',
  'pax-path-hdr.tar': 'ends after an extended header',
  'pax-pos-size-file.tar': 'has an invalid size',
  'pax-sparse-big.tar': 'sparse files',
  'sparse-formats.tar': 'sparse files',
  // Their contents are omitted.
  'writer-big.tar': 'is truncated',
  'writer-big-long.tar': 'is truncated',
};

/** Given several names for one entry, Python takes the first, Go and GNU tar the last. */
const LAST_NAMES: Readonly<Record<string, { readonly path: string; readonly link: string }>> = {
  'gnu-multi-hdrs.tar': { path: 'GNU2/GNU2/long-path-name', link: 'GNU4/GNU4/long-linkpath-name' },
  'pax-multi-hdrs.tar': { path: 'bar', link: 'PAX4/PAX4/long-linkpath-name' },
};

test.for(paths.map((path) => [basename(path), path] as const))('%s', async ([name, path]) => {
  const found = await listTar(chunks(readFileSync(path))).catch((error: unknown) => {
    if (!(error instanceof LktError)) throw error;
    return error.message;
  });
  if (typeof found === 'string') {
    expect(found).toContain(REJECTED[name]);
    return;
  }
  expect(REJECTED[name]).toBeUndefined();
  const ours = found.map(({ path: at, type, mode, uid, gid, mtime, size, link = '', data }) => ({
    path: at,
    type,
    mode,
    uid,
    gid,
    mtime,
    link,
    size,
    sum: createHash('sha256')
      .update(data ?? '')
      .digest('hex'),
  }));
  const names = LAST_NAMES[name];
  if (names === undefined) expect(ours).toEqual(python[path]);
  else expect(ours).toMatchObject([names]);
});

test('the corpus is installed', () => {
  expect(paths.length).toBeGreaterThan(40);
});
