import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arHeader, readAr } from '../src/deb/ar.ts';

const MAGIC = Buffer.from('!<arch>\n');

function archive(members: readonly (readonly [string, Buffer])[]): Buffer {
  const parts = members.flatMap(([name, content]) => [
    arHeader(name, content.length),
    content,
    Buffer.from(content.length % 2 === 1 ? '\n' : ''),
  ]);
  return Buffer.concat([MAGIC, ...parts]);
}

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function readAll(source: AsyncIterable<Uint8Array>): Promise<[string, Buffer][]> {
  const members: [string, Buffer][] = [];
  for await (const { name, content } of readAr(source))
    members.push([name, Buffer.concat(await Array.fromAsync(content))]);
  return members;
}

describe('readAr', () => {
  const name = fc.stringMatching(/^[a-z][a-z.-]{0,14}$/);
  const content = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));

  it('reads an archive in chunks of any size', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(name, content)),
        fc.integer({ min: 1, max: 99 }),
        async (members, size) => {
          expect(await readAll(pieces(archive(members), size))).toEqual(members);
        },
      ),
    );
  });

  it('skips unread members', async () => {
    const bytes = archive([
      ['a', Buffer.alloc(1001)],
      ['b', Buffer.from('x')],
    ]);
    const names: string[] = [];
    for await (const member of readAr(pieces(bytes, 7))) names.push(member.name);
    expect(names).toEqual(['a', 'b']);
  });

  const good = archive([['debian-binary', Buffer.from('2.0\n')]]);
  const changed = (at: number, text: string): Buffer => {
    const bytes = Buffer.from(good);
    bytes.write(text, at, 'latin1');
    return bytes;
  };
  it.each([
    ['nothing', Buffer.alloc(0)],
    ['another magic', changed(0, '?')],
    ['a cut header', good.subarray(0, 30)],
    ['a cut content', good.subarray(0, 70)],
    ['a bad size', changed(8 + 48, '-1')],
    ['a bad end of the header', changed(8 + 58, 'x')],
    ['a path as a name', changed(8, '../etc/passwd   ')],
  ])('rejects %s', async (_what, bytes) => {
    await expect(readAll(pieces(bytes, 64))).rejects.toMatchObject({ code: 'ARCHIVE_INVALID' });
  });

  it('throws no other error for any input', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length - 1), fc.nat(255), async (at, value) => {
        const bytes = Buffer.from(good);
        bytes[at] = value;
        await readAll(pieces(bytes, 16)).catch((error: unknown) => {
          expect(error).toMatchObject({ code: 'ARCHIVE_INVALID' });
        });
      }),
    );
  });
});
