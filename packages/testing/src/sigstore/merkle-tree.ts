import { createHash } from 'node:crypto';

/**
 * A Merkle tree of hashes (RFC 6962, section 2.1). Recomputes everything, which suffices for the
 * few leaves of a test.
 */
export class MerkleTree {
  readonly #leaves: Buffer[] = [];

  get size(): number {
    return this.#leaves.length;
  }

  /** Adds a leaf by its hash, and returns its index. */
  add(hash: Buffer): number {
    return this.#leaves.push(hash) - 1;
  }

  root(): Buffer {
    return rootOf(this.#leaves);
  }

  /** Returns the audit path from a leaf to the root, lowest first. */
  proof(index: number): readonly Buffer[] {
    return pathOf(index, this.#leaves);
  }
}

/** Returns the hash of a leaf. */
export function leafHash(content: Uint8Array): Buffer {
  return sha256(Buffer.of(0), content);
}

function rootOf(leaves: readonly Buffer[]): Buffer {
  const [first, ...more] = leaves;
  if (first === undefined) return sha256();
  if (more.length === 0) return first;
  const half = largestPowerBelow(leaves.length);
  return sha256(Buffer.of(1), rootOf(leaves.slice(0, half)), rootOf(leaves.slice(half)));
}

function pathOf(index: number, leaves: readonly Buffer[]): Buffer[] {
  if (leaves.length <= 1) return [];
  const half = largestPowerBelow(leaves.length);
  const [left, right] = [leaves.slice(0, half), leaves.slice(half)];
  return index < half
    ? [...pathOf(index, left), rootOf(right)]
    : [...pathOf(index - half, right), rootOf(left)];
}

function largestPowerBelow(count: number): number {
  return 2 ** Math.ceil(Math.log2(count) - 1);
}

function sha256(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}
