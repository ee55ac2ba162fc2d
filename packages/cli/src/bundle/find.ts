// An import would load all of it, streams too, for every command that there is.
const { accessSync, constants, readFileSync, statSync } = process.getBuiltinModule('node:fs');
const { fileURLToPath } = process.getBuiltinModule('node:url');

/** What is known of a bundle that was made. */
export interface BundleRecord {
  /** Its directory, beside the record. */
  readonly directory: string;
  readonly node: string;
  /** Every file that it was made from, below the checkout, with what `fingerprint` says of it. */
  readonly inputs: Readonly<Record<string, string>>;
}

/** The checkout. */
export const checkout = new URL('../../../../', import.meta.url);
export const bundles = new URL('node_modules/.cache/lkt/', checkout);
const root = fileURLToPath(checkout);
/** Names the bundle that counts. */
export const recordFile = new URL('bundle.json', bundles);

/** The main file of the bundle of the sources as they are now; undefined if there is none. */
export function findBundle(): URL | undefined {
  try {
    const record = JSON.parse(readFileSync(recordFile, 'utf8')) as BundleRecord;
    if (record.node !== process.version) return undefined;
    for (const path in record.inputs)
      if (fingerprint(path) !== record.inputs[path]) return undefined;
    const main = new URL(`${record.directory}/main.cjs`, bundles);
    accessSync(main, constants.R_OK);
    return main;
  } catch {
    // Nothing is lost but time.
    return undefined;
  }
}

export function loadBundle(main: URL): void {
  const { createRequire } = process.getBuiltinModule('node:module');
  createRequire(main)('./start-main.cjs');
}

/**
 * Changes with every change of a file: whoever writes to one, or puts another in its place, changes its ctime, which
 * nobody can set. undefined if there is no such file.
 */
export function fingerprint(path: string): string | undefined {
  // Some hundred times for each command: not as a URL.
  const stats = statSync(root + path, { bigint: true, throwIfNoEntry: false });
  return stats === undefined ? undefined : `${stats.ino} ${stats.size} ${stats.ctimeNs}`;
}
