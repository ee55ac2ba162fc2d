import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { ReadBuffer } from '../src/read-buffer.ts';

/** Sizes of reads, between which the reader takes a part. */
const turns = fc.array(fc.array(fc.integer({ min: 1, max: 700_000 }), { maxLength: 4 }), {
  minLength: 1,
  maxLength: 12,
});

it('returns each byte once, in order, in parts valid until the next one is taken', () => {
  fc.assert(
    fc.property(turns, (reads) => {
      const buffer = new ReadBuffer();
      let sent = 0;
      let taken = 0;
      let hasSpace = true;
      let part: Buffer | undefined;
      for (const sizes of [...reads, [], [], []]) {
        for (const size of sizes) {
          if (!hasSpace) break;
          const space = buffer.space();
          const count = Math.min(size, space.length);
          for (let at = 0; at < count; at += 1) space[at] = (sent + at) % 251;
          sent += count;
          hasSpace = buffer.receive(count);
        }
        // The part in use is as it was, whatever was received since.
        const start = taken - (part?.length ?? 0);
        part?.forEach((byte, at) => {
          if (byte !== (start + at) % 251) throw new Error(`byte ${start + at} was overwritten`);
        });
        part = buffer.take();
        if (part !== undefined) hasSpace = true;
        taken += part?.length ?? 0;
      }
      expect(buffer.isEmpty).toBe(true);
      expect(taken).toBe(sent);
    }),
    { numRuns: 30 },
  );
});
