// https://www.qemu.org/docs/master/interop/qcow2.html (version 3)
import { type Disk, roundUp, runBytes, runsOf } from '../bytes/disk.ts';

const CLUSTER_BITS = 16;
const CLUSTER = 2 ** CLUSTER_BITS;
const HEADER_LENGTH = 104;
/** This cluster is used here alone, so it may be written to. */
const COPIED = 1n << 63n;

/**
 * A disk as QEMU's qcow2, version 3 (docs/interop/qcow2.rst), without a cluster for what is all zero. All tables are
 * before the data, so it is written from the beginning to the end.
 */
export async function* qcow2Bytes(disk: Disk): AsyncGenerator<Uint8Array> {
  const runs = runsOf(disk, CLUSTER);
  const dataClusters = runs.reduce((sum, { size }) => sum + size, 0) / CLUSTER;
  const perTable = CLUSTER / 8;
  const l1Entries = Math.ceil(disk.size / CLUSTER / perTable);
  const used = new Set(
    runs.flatMap(({ offset, size }) => {
      const first = Math.floor(offset / CLUSTER / perTable);
      const last = Math.floor((offset + size - 1) / CLUSTER / perTable);
      return Array.from({ length: last - first + 1 }, (_, index) => first + index);
    }),
  );
  const l1Clusters = Math.ceil((l1Entries * 8) / CLUSTER);
  const beside = 1 + l1Clusters + used.size + dataClusters;
  const { tableClusters, blocks } = refcounts(beside);
  const l1At = 1 + tableClusters + blocks;
  const l2At = l1At + l1Clusters;
  const dataAt = l2At + used.size;
  const total = dataAt + dataClusters;

  const header = Buffer.alloc(CLUSTER);
  header.write('QFI\xfb', 0, 'latin1');
  header.writeUInt32BE(3, 4);
  header.writeUInt32BE(CLUSTER_BITS, 20);
  header.writeBigUInt64BE(BigInt(disk.size), 24);
  header.writeUInt32BE(l1Entries, 36);
  header.writeBigUInt64BE(BigInt(l1At * CLUSTER), 40);
  header.writeBigUInt64BE(BigInt(CLUSTER), 48);
  header.writeUInt32BE(tableClusters, 56);
  header.writeUInt32BE(4, 96);
  header.writeUInt32BE(HEADER_LENGTH, 100);
  yield header;

  const refcountTable = Buffer.alloc(tableClusters * CLUSTER);
  for (let index = 0; index < blocks; index += 1)
    refcountTable.writeBigUInt64BE(BigInt((1 + tableClusters + index) * CLUSTER), index * 8);
  yield refcountTable;
  for (let index = 0; index < blocks; index += 1) {
    const block = Buffer.alloc(CLUSTER);
    const count = Math.min(PER_BLOCK, total - index * PER_BLOCK);
    for (let one = 0; one < count; one += 1) block.writeUInt16BE(1, one * 2);
    yield block;
  }

  const l1 = Buffer.alloc(l1Clusters * CLUSTER);
  for (const [index, table] of [...used].entries())
    l1.writeBigUInt64BE(BigInt((l2At + index) * CLUSTER) | COPIED, table * 8);
  yield l1;
  let next = dataAt;
  let current = -1;
  let l2 = Buffer.alloc(CLUSTER);
  for (const { offset, size } of runs) {
    for (let at = offset; at < offset + size; at += CLUSTER) {
      const cluster = at / CLUSTER;
      const table = Math.floor(cluster / perTable);
      if (table !== current) {
        if (current >= 0) yield l2;
        l2 = Buffer.alloc(CLUSTER);
        current = table;
      }
      l2.writeBigUInt64BE(BigInt(next * CLUSTER) | COPIED, (cluster % perTable) * 8);
      next += 1;
    }
  }
  if (current >= 0) yield l2;
  for (const run of runs) yield* runBytes(run);
}

/** Counts of 16 bits. */
const PER_BLOCK = CLUSTER / 2;

/** How many clusters hold the counts of all clusters, themselves among them. */
function refcounts(beside: number): { readonly tableClusters: number; readonly blocks: number } {
  let blocks = 1;
  for (;;) {
    const tableClusters = roundUp(blocks * 8, CLUSTER) / CLUSTER;
    const needed = Math.ceil((beside + tableClusters + blocks) / PER_BLOCK);
    if (needed <= blocks) return { tableClusters, blocks };
    blocks = needed;
  }
}
