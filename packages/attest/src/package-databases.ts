import { type RawPath, toRaw } from '@lkt/oci';
import { type Component, type ComponentLicense, debComponent, distributor } from './component.ts';
import { packageUrl } from './purl.ts';

const APK = new Set(['lib/apk/db/installed', 'usr/lib/apk/db/installed']);
const OS_RELEASE = ['etc/os-release', 'usr/lib/os-release'];
/** Bytes. Longer databases are not read; Debian's status file of a full desktop has some 10 MB. */
export const MAX_DATABASE_BYTES: number = 64 * 2 ** 20;

/** Bytes. Longer copyright files are not read. */
const MAX_COPYRIGHT_BYTES = 4 * 2 ** 20;

/** Returns the path of the copyright file of a Debian package (Debian policy, 12.5). */
export function copyrightPath(name: string): RawPath {
  return toRaw(`usr/share/doc/${name}/copyright`);
}

/** Reports whether a file is the copyright file of a Debian package, and of a usual size. */
export function isCopyrightFile(path: RawPath, size: number): boolean {
  return size <= MAX_COPYRIGHT_BYTES && /^usr\/share\/doc\/[^/]+\/copyright$/.test(path);
}

/** Reports whether a file lists installed packages or names the distribution. */
export function isPackageDatabase(path: RawPath): boolean {
  return (
    APK.has(path) ||
    OS_RELEASE.includes(path) ||
    path === 'var/lib/dpkg/status' ||
    (path.startsWith('var/lib/dpkg/status.d/') && !path.endsWith('.md5sums'))
  );
}

/** Returns the licence of a Debian package by its name. */
export type LicenseOf = (name: string) => ComponentLicense | undefined;

/** Returns the installed packages listed in the databases, which are keyed by path. */
export function installedPackages(
  databases: ReadonlyMap<RawPath, string>,
  licenseOf: LicenseOf,
): readonly Component[] {
  const release = OS_RELEASE.map((path) => databases.get(path)).find((text) => text !== undefined);
  const distribution = release === undefined ? undefined : parseOsRelease(release);
  const of = (fallback: string): Distribution => distribution ?? { id: fallback };
  return [...databases].flatMap(([path, text]) => {
    if (APK.has(path)) return parseApkInstalled(text, of('alpine'));
    return OS_RELEASE.includes(path) ? [] : parseDpkgStatus(text, of('debian'), licenseOf);
  });
}

/** The distribution named by os-release(5). */
interface Distribution {
  readonly id: string;
  readonly version?: string | undefined;
}

/** @see https://www.freedesktop.org/software/systemd/man/latest/os-release.html */
function parseOsRelease(text: string): Distribution | undefined {
  const fields = new Map(
    text.split('\n').flatMap((line) => {
      const [, key, value] = /^([A-Z_]+)=(.*)$/.exec(line.trim()) ?? [];
      return key === undefined
        ? []
        : [[key, (value ?? '').replaceAll(/^["']|["']$/g, '')] as const];
    }),
  );
  const id = fields.get('ID');
  if (id === undefined || !/^[a-z0-9._-]+$/.test(id)) return undefined;
  return { id, version: fields.get('VERSION_ID') };
}

/** Returns the packages of apk's database, `lib/apk/db/installed` (apk-package(5), apkindex). */
function parseApkInstalled(
  text: string,
  { id, version: release }: Distribution,
): readonly Component[] {
  return paragraphs(text).flatMap((lines) => {
    const field = (key: string): string | undefined =>
      lines.find((line) => line.startsWith(`${key}:`))?.slice(2);
    const [name, version, arch, license, origin] = ['P', 'V', 'A', 'L', 'o'].map(field);
    if (name === undefined || version === undefined) return [];
    return [
      {
        kind: 'apk' as const,
        name,
        version,
        purl: packageUrl({
          type: 'apk',
          namespace: id,
          name,
          version,
          qualifiers: {
            arch,
            distro: release === undefined ? undefined : `${id}-${release}`,
            upstream: origin === name ? undefined : origin,
          },
        }),
        supplier: distributor(id),
        comment: license === undefined || license === '' ? undefined : `license: ${license}`,
        sourceInfo: origin === undefined ? undefined : `built from the source package ${origin}`,
      },
    ];
  });
}

/**
 * Returns the installed packages of dpkg's database: `var/lib/dpkg/status`, or a file of `status.d`
 * (dpkg(1), deb-control(5)).
 */
function parseDpkgStatus(
  text: string,
  { id, version: release }: Distribution,
  licenseOf: LicenseOf,
): readonly Component[] {
  return paragraphs(text).flatMap((lines) => {
    const field = (key: string): string | undefined =>
      lines
        .find((line) => line.toLowerCase().startsWith(`${key}:`))
        ?.slice(key.length + 1)
        .trim();
    const [name, version, architecture, status, source] = [
      'package',
      'version',
      'architecture',
      'status',
      'source',
    ].map(field);
    if (name === undefined || version === undefined) return [];
    // In any other state, such as unpacked, the files are there.
    if (/\s(?:config-files|not-installed)$/.test(status ?? '')) return [];
    const [, sourceName, sourceVersion] = /^(\S+)(?: \((.+)\))?$/.exec(source ?? '') ?? [];
    return [
      debComponent({
        name,
        version,
        architecture: architecture ?? 'all',
        distribution: id,
        suite: release === undefined ? undefined : `${id}-${release}`,
        source: sourceName ?? name,
        sourceVersion,
        license: licenseOf(name),
      }),
    ];
  });
}

function paragraphs(text: string): readonly (readonly string[])[] {
  return text
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.split('\n').filter((line) => line !== ''));
}
