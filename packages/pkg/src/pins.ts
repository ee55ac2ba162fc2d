import { LktError, type LktErrorCode } from '@lkt/core';
import { familiarReference, formatReference, type Reference, type Store } from '@lkt/oci';
import type { BuiltPackage } from './build.ts';

/** What is wrong with a reference, and what to do about it. */
export interface ReferenceProblem {
  readonly code: Extract<LktErrorCode, 'PIN_MISSING' | 'PIN_STALE' | 'NOT_FOUND'>;
  readonly message: string;
  readonly fix: string;
}

/** `org/image:<source hash>@<digest>`: the reference that names a package as it is now. undefined outside git. */
export function pinOf({ item, hash, index, tagSuffix }: BuiltPackage): string | undefined {
  return hash.committed === undefined
    ? undefined
    : `${item.name}:${hash.committed}${tagSuffix}@${index.digest}`;
}

/** Checks a reference to a package of the workspace against what that package gives now. */
export function checkPin(reference: Reference, built: BuiltPackage): ReferenceProblem | undefined {
  if (reference.digest === undefined) return missingPin(reference);
  const { item, hash, index } = built;
  if (reference.digest !== index.digest) {
    return {
      code: 'PIN_STALE',
      message: `the pin of ${item.name} is stale: it says ${reference.digest}, the sources give ${index.digest}`,
      fix: PIN,
    };
  }
  if (
    reference.tag !== undefined &&
    hash.committed !== undefined &&
    reference.tag !== hash.committed
  ) {
    return {
      code: 'PIN_STALE',
      message: `the pin of ${item.name} is stale: its tag is ${reference.tag}, the sources have ${hash.committed} (${index.digest} as before)`,
      fix: PIN,
    };
  }
  return undefined;
}

/** Checks a reference to an image that no package of the workspace gives. */
export async function checkOther(
  reference: Reference,
  store: Store,
): Promise<ReferenceProblem | undefined> {
  if (reference.digest === undefined) return missingPin(reference);
  if (await store.has(reference.digest)) return undefined;
  return {
    code: 'NOT_FOUND',
    message: `${familiarReference(reference)} is not in the store, and no package of this workspace gives it`,
    fix: 'check the name and the digest',
  };
}

export function problemError({ code, message, fix }: ReferenceProblem): LktError {
  return new LktError(code, message, { fix });
}

const PIN = 'run: lkt pin';

function missingPin(reference: Reference): ReferenceProblem {
  return {
    code: 'PIN_MISSING',
    message: `${familiarReference(reference)} has no digest`,
    fix: PIN,
  };
}

/** The name in the store of a package under a tag. */
export function storeName({ domain, path }: Reference, tag: string): string {
  return formatReference({ domain, path, tag });
}
