import { digestHex, digestOf, LktError } from '@lkt/core';
import { type Paragraph, parseDeb822 } from '../deb/deb822.ts';
import { formatLicense, joined, type License, parseLicense } from './expression.ts';
import type { LicenseText, PackageLicense } from './license.ts';
import { spdxLicense } from './spdx-id.ts';

/** Characters of the name of a licence in its id. */
const MAX_NAME = 40;
/** Words of a short name that is not written as one word. A text has more. */
const MAX_WORDS = 3;
/** Characters of a licence's text; that of GPL 3 has 35,000. */
const MAX_TEXT = 64 * 1024;
/** Characters of an expression. */
const MAX_EXPRESSION = 64 * 1024;
/** Licences of a package; above those of any package of the archive. */
const MAX_LICENSES = 1000;

/**
 * Returns the licences that a Debian copyright file declares.
 *
 * A machine-readable one gives those of all files of the source package. SPDX identifiers replace
 * short names; a licence that SPDX does not list is a `LicenseRef` with its text. Of any other file
 * the whole text is the licence; the licences in Debian's files that it names are concluded, too.
 * @returns undefined for an empty file
 * @see https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
 */
export function parseCopyright(text: string): PackageLicense | undefined {
  if (text.trim() === '') return undefined;
  return machineReadable(text) ?? plainText(text);
}

function machineReadable(text: string): PackageLicense | undefined {
  const paragraphs = paragraphsOf(text);
  const [header] = paragraphs;
  if (header?.get('format')?.includes('copyright-format') !== true) return undefined;
  const fields = [
    paragraphs.filter((one) => one.has('files')),
    [header],
    paragraphs.filter((one) => one !== header),
  ]
    .map((some) => [...new Set(some.flatMap((one) => one.get('license') ?? []))])
    .find((some) => some.length > 0);
  if (fields === undefined || fields.length > MAX_LICENSES) return undefined;
  const texts = new LicenseTexts(
    paragraphs.flatMap((one) => {
      const [name = '', ...lines] = (one.get('license') ?? '').split('\n');
      return lines.length === 0 ? [] : [[name.trim(), lines.join('\n')] as const];
    }),
  );
  const licenses = fields.map((field) => {
    const [synopsis = '', ...lines] = field.split('\n');
    const own = lines.length === 0 ? undefined : lines.join('\n');
    return isText(synopsis)
      ? texts.refer(undefined, field)
      : parseLicense(synopsis, (name) => spdxTree(name) ?? texts.named(name, own));
  });
  const declared = formatLicense(joined('AND', licenses));
  return declared.length > MAX_EXPRESSION ? undefined : { declared, texts: texts.all() };
}

/** Returns the paragraphs; none if the file has not the form that it claims. */
function paragraphsOf(text: string): readonly Paragraph[] {
  try {
    return parseDeb822(text, 'copyright', { allowsRepeats: true });
  } catch (error) {
    if (error instanceof LktError && error.code === 'ARCHIVE_INVALID') return [];
    throw error;
  }
}

/** Reports whether the first line of a License field is not the short name that it should be. */
function isText(synopsis: string): boolean {
  if (synopsis.trim() === '') return true;
  const names = synopsis.split(/,|\b(?:and|or|with)\b|\//i);
  return names.some((name) => name.trim().split(/\s+/).length > MAX_WORDS);
}

function spdxTree(name: string): License | undefined {
  const expression = spdxLicense(name);
  return expression === undefined ? undefined : parseLicense(expression, (id) => id);
}

function plainText(text: string): PackageLicense {
  const texts = new LicenseTexts([]);
  const declared = texts.refer(undefined, text);
  const named = commonLicenses(text);
  return {
    declared,
    ...(named !== undefined && { concluded: formatLicense(joined('AND', [declared, named])) }),
    texts: texts.all(),
  };
}

/**
 * Returns the licence that texts such as those of `COPYING` files declare: by their
 * `SPDX-License-Identifier`, else the text itself.
 * @see https://spdx.github.io/spdx-spec/v2.3/using-SPDX-short-identifiers-in-source-files/
 */
export function licenseOfTexts(texts: readonly string[]): PackageLicense | undefined {
  if (texts.length === 0) return undefined;
  const found = new LicenseTexts([]);
  const licenses = texts.flatMap((text) => {
    const ids = [...text.matchAll(/^[^\w\n]*SPDX-License-Identifier:[ \t]*([^\n*]+)/gm)];
    return ids.length === 0
      ? [found.refer(undefined, text)]
      : ids.map(([, id = '']) => parseLicense(id, (name) => spdxTree(name) ?? found.named(name)));
  });
  return { declared: formatLicense(joined('AND', licenses)), texts: found.all() };
}

/** Returns the licences whose files of Debian a text names (Debian policy, 12.5). */
function commonLicenses(text: string): License | undefined {
  const found = text.matchAll(/\/usr\/share\/common-licenses\/([A-Z][A-Za-z0-9.-]*[A-Za-z0-9])/g);
  const names = new Set([...found].map(([, name = '']) => name));
  const versions = statedVersions(text);
  const licenses = [...names].flatMap((name) => spdxTree(withVersion(name, versions)) ?? []);
  if (licenses.length === 0) return undefined;
  // The terms of Perl.
  const isChoice =
    names.has('Artistic') && [...names].every((name) => /^(?:GPL|Artistic)/.test(name));
  return joined(isChoice ? 'OR' : 'AND', licenses);
}

/** Returns the versions that a text states for the GNU licences that it names. */
function statedVersions(text: string): { readonly first?: string; readonly isLater: boolean } {
  const words = text.replaceAll(/\s+/g, ' ');
  const [, first] = LATER.exec(words) ?? [];
  const isLater = /any later version|or later\b|or newer\b/i.test(words);
  return { isLater, ...(first !== undefined && { first }) };
}

const LATER =
  /version (\d(?:\.\d)?)(?: of the [^.]{0,60}?)?,? or \(?(?:at your option\)? )?any later/i;

/** Adds the stated versions to the name of the file of a GNU licence. */
function withVersion(name: string, { first, isLater }: ReturnType<typeof statedVersions>): string {
  const [, family, version = first] = /^((?:A|L)?GPL|GFDL)(?:-([\d.]+))?$/.exec(name) ?? [];
  if (family === undefined) return name;
  return version === undefined ? family : `${family}-${version}${isLater ? '+' : ''}`;
}

/** Collects the texts of licences that SPDX does not list. */
class LicenseTexts {
  readonly #texts: ReadonlyMap<string, string>;
  readonly #used = new Map<string, LicenseText>();

  constructor(texts: readonly (readonly [name: string, text: string])[]) {
    this.#texts = new Map(texts.toReversed());
  }

  /**
   * Returns the reference to the licence with a short name of this file.
   * @param fallback text of the field that names it, perhaps with others
   */
  named(name: string, fallback: string = name): string {
    return this.refer(name, this.#texts.get(name) ?? fallback);
  }

  refer(name: string | undefined, content: string): string {
    const text = content.slice(0, MAX_TEXT).toWellFormed();
    const readable = (name ?? 'copyright').replaceAll(/[^A-Za-z0-9.]+/g, '-').slice(0, MAX_NAME);
    const unique = digestHex(digestOf(text)).slice(0, 16);
    const id = `LicenseRef-${readable.replaceAll(/^-+|-+$/g, '') || 'unnamed'}-${unique}`;
    this.#used.set(id, { id, ...(name !== undefined && { name }), text });
    return id;
  }

  all(): readonly LicenseText[] {
    return [...this.#used.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
  }
}
