// https://www.qemu.org/docs/master/interop/qcow2.html (version 3)
import { type Disk, roundUp, runBytes, runsOf } from '../bytes/disk.ts';
import { packer } from '../bytes/pack.ts';

const CLUSTER_BITS = 16;
const CLUSTER_SIZE = 2 ** CLUSTER_BITS;
const HEADER_LENGTH = 104;
const header = packer('>4sI12xIQ4xIQQI36xII');
/** The cluster has a reference count of one, so that it can be written in place. */
const COPIED = 1n << 63n;

/**
 * Streams a disk as qcow2, version 3 (docs/interop/qcow2.rst), without clusters for zeros. All
 * tables precede the data, so that the file is written sequentially.
 */
export async function* qcow2Bytes(disk: Disk): AsyncGenerator<Uint8Array> {
  const runs = runsOf(disk, CLUSTER_SIZE);
  const dataClusters = runs.reduce((sum, { size }) => sum + size, 0) / CLUSTER_SIZE;
  const perTable = CLUSTER_SIZE / 8;
  const l1Entries = Math.ceil(disk.size / CLUSTER_SIZE / perTable);
  const used = new Set(
    runs.flatMap(({ offset, size }) => {
      const first = Math.floor(offset / CLUSTER_SIZE / perTable);
      const last = Math.floor((offset + size - 1) / CLUSTER_SIZE / perTable);
      return Array.from({ length: last - first + 1 }, (_, index) => first + index);
    }),
  );
  const l1Clusters = Math.ceil((l1Entries * 8) / CLUSTER_SIZE);
  const beside = 1 + l1Clusters + used.size + dataClusters;
  const { tableClusters, blocks } = refcounts(beside);
  const l1At = 1 + tableClusters + blocks;
  const l2At = l1At + l1Clusters;
  const dataAt = l2At + used.size;
  const total = dataAt + dataClusters;

  const fields = header(
    'QFI\xfb',
    3,
    CLUSTER_BITS,
    disk.size,
    l1Entries,
    l1At * CLUSTER_SIZE,
    CLUSTER_SIZE,
    tableClusters,
    4,
    HEADER_LENGTH,
  );
  yield Buffer.concat([fields], CLUSTER_SIZE);

  const refcountTable = Buffer.alloc(tableClusters * CLUSTER_SIZE);
  for (let index = 0; index < blocks; index += 1)
    refcountTable.writeBigUInt64BE(BigInt((1 + tableClusters + index) * CLUSTER_SIZE), index * 8);
  yield refcountTable;
  for (let index = 0; index < blocks; index += 1) {
    const block = Buffer.alloc(CLUSTER_SIZE);
    const count = Math.min(PER_BLOCK, total - index * PER_BLOCK);
    for (let one = 0; one < count; one += 1) block.writeUInt16BE(1, one * 2);
    yield block;
  }

  const l1 = Buffer.alloc(l1Clusters * CLUSTER_SIZE);
  for (const [index, table] of [...used].entries())
    l1.writeBigUInt64BE(BigInt((l2At + index) * CLUSTER_SIZE) | COPIED, table * 8);
  yield l1;
  let next = dataAt;
  let current = -1;
  let l2 = Buffer.alloc(CLUSTER_SIZE);
  for (const { offset, size } of runs) {
    for (let at = offset; at < offset + size; at += CLUSTER_SIZE) {
      const cluster = at / CLUSTER_SIZE;
      const table = Math.floor(cluster / perTable);
      if (table !== current) {
        if (current >= 0) yield l2;
        l2 = Buffer.alloc(CLUSTER_SIZE);
        current = table;
      }
      l2.writeBigUInt64BE(BigInt(next * CLUSTER_SIZE) | COPIED, (cluster % perTable) * 8);
      next += 1;
    }
  }
  if (current >= 0) yield l2;
  for (const run of runs) yield* runBytes(run);
}

/** Reference counts have 16 bits. */
const PER_BLOCK = CLUSTER_SIZE / 2;

/** Returns how many clusters the reference counts of all clusters take, including their own. */
function refcounts(beside: number): { readonly tableClusters: number; readonly blocks: number } {
  let blocks = 1;
  for (;;) {
    const tableClusters = roundUp(blocks * 8, CLUSTER_SIZE) / CLUSTER_SIZE;
    const needed = Math.ceil((beside + tableClusters + blocks) / PER_BLOCK);
    if (needed <= blocks) return { tableClusters, blocks };
    blocks = needed;
  }
}
