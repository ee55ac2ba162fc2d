import exceptionIds from 'spdx-exceptions/index.json' with { type: 'json' };
import licenseIds from 'spdx-license-ids/index.json' with { type: 'json' };

const LICENSES: ReadonlyMap<string, string> = byLowerCase(licenseIds);
const EXCEPTIONS: ReadonlyMap<string, string> = byLowerCase(exceptionIds);

function byLowerCase(ids: readonly string[]): ReadonlyMap<string, string> {
  return new Map(ids.map((id) => [id.toLowerCase(), id]));
}

/**
 * Short names of the specification whose licence has another identifier in SPDX (DEP-5, 7.1).
 * Debian's "Artistic" is the text that Perl has.
 */
const RENAMED: ReadonlyMap<string, string> = new Map([
  ['artistic', 'Artistic-1.0-Perl'],
  ['artistic-1', 'Artistic-1.0-Perl'],
  ['cc0', 'CC0-1.0'],
  ['expat', 'MIT'],
  ['gpl', 'GPL-1.0-or-later'],
  ['lgpl', 'LGPL-2.0-or-later'],
  ['perl', 'Artistic-1.0-Perl OR GPL-1.0-or-later'],
]);

/**
 * Returns the SPDX expression for a licence's short name in a Debian copyright file, such as
 * `GPL-2+`; undefined if SPDX lists no such licence.
 * @see https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/#license-short-name
 */
export function spdxLicense(name: string): string | undefined {
  const [, base = '', exception] = /^(.+?)[ _-]with[ _-](.+)$/i.exec(name) ?? [];
  if (exception === undefined) return spdxId(name);
  const license = spdxId(base);
  const known = license === undefined ? undefined : spdxException(exception, license);
  return license === undefined || known === undefined ? undefined : `${license} WITH ${known}`;
}

function spdxId(name: string): string | undefined {
  const key = name.trim().toLowerCase().replaceAll(/\s+/g, '-');
  const renamed = RENAMED.get(key);
  if (renamed !== undefined) return renamed;
  const gnu = gnuLicense(key);
  if (gnu !== undefined) return LICENSES.get(gnu);
  const [, base = key, later = ''] = /^(.+?)(\+?)$/.exec(key) ?? [];
  const id = LICENSES.get(base) ?? LICENSES.get(`${base}.0`);
  return id === undefined ? undefined : `${id}${later}`;
}

/** Returns the lower-case SPDX identifier of a name of the GNU licences, which has no `+` there. */
function gnuLicense(key: string): string | undefined {
  const [, family, isVariant, version = '', later] =
    /^((?:a|l)?gpl|gfdl)(-niv|-no-invariants)?-?v?(\d+(?:\.\d+)?)(-no-invariants)?(\+|-or-later|-only)?$/
      .exec(key)
      ?.filter((_, index) => index !== 4) ?? [];
  if (family === undefined) return undefined;
  const full = version.includes('.') ? version : `${version}.0`;
  const variant = isVariant === undefined ? '' : '-no-invariants';
  return `${family}-${full}${variant}${later === '+' || later === '-or-later' ? '-or-later' : '-only'}`;
}

/** Exceptions that have a version in SPDX, by that of the licence. */
const VERSIONED: ReadonlyMap<string, (license: string) => string> = new Map([
  [
    'autoconf',
    (license: string) => `autoconf-exception-${license.startsWith('GPL-3') ? '3.0' : '2.0'}`,
  ],
  ['bison', () => 'bison-exception-2.2'],
  ['classpath', () => 'classpath-exception-2.0'],
  ['font', () => 'font-exception-2.0'],
  ['gcc', () => 'gcc-exception-3.1'],
  ['gcc-runtime-library', () => 'gcc-exception-3.1'],
]);

function spdxException(name: string, license: string): string | undefined {
  const key = name
    .trim()
    .toLowerCase()
    .replaceAll(/[\s_]+/g, '-')
    .replace(/-exceptions?$/, '');
  const known = VERSIONED.get(key)?.(license) ?? key;
  return EXCEPTIONS.get(known) ?? EXCEPTIONS.get(`${known}-exception`);
}
