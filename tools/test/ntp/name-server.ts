import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

// A name server whose behaviour is an argument: `node name-server.ts BEHAVIOUR ADDRESS…`. Prints a
// line for each question.

const [, , word = '', ...addresses] = process.argv;
const A = 1;
const CNAME = 5;
const RESPONSE = 0x8180;
const TRUNCATED = 0x0200;
const NXDOMAIN = 3;

interface Parts {
  readonly flags?: number;
  readonly id?: number;
  readonly records?: readonly Buffer[];
  readonly question?: Buffer;
}

/** Returns the question of a query: name, type and class. */
function questionOf(query: Buffer): Buffer {
  let at = 12;
  while ((query[at] ?? 0) !== 0) at += (query[at] ?? 0) + 1;
  return query.subarray(12, at + 5);
}

function reply(query: Buffer, parts: Parts): Buffer {
  const { records = [], question = questionOf(query) } = parts;
  const header = Buffer.alloc(12);
  header.writeUInt16BE(parts.id ?? query.readUInt16BE(0), 0);
  header.writeUInt16BE(parts.flags ?? RESPONSE, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  return Buffer.concat([header, question, ...records]);
}

/** Returns a record about the name of the question. */
function record(type: number, data: Buffer, length = data.length): Buffer {
  const head = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, 0]);
  head.writeUInt16BE(length, 10);
  return Buffer.concat([head, data]);
}

const address = (text: string): Buffer => record(A, Buffer.from(text.split('.').map(Number)));
const isFor4 = (query: Buffer): boolean =>
  questionOf(query).readUInt16BE(questionOf(query).length - 4) === A;

/** The answers to a query, in order, by behaviour. */
const behaviours: Readonly<Record<string, (query: Buffer, isTCP: boolean) => readonly Buffer[]>> = {
  // Has these addresses for every name.
  honest: (query) => [
    reply(query, { records: isFor4(query) ? addresses.map((text) => address(text)) : [] }),
  ],
  // Has thousands of addresses, over TCP.
  many: (query, isTCP) => [
    isTCP && isFor4(query)
      ? reply(query, {
          records: Array.from({ length: 4000 }, (_, n) =>
            address(`10.99.${100 + (n >> 8)}.${n % 256}`),
          ),
        })
      : reply(query, { flags: RESPONSE | TRUNCATED }),
  ],
  // Addresses at which there can be no server.
  impossible: (query) => [
    reply(query, {
      records: ['0.0.0.0', '127.0.0.1', '224.0.0.1', '255.255.255.255'].map((text) =>
        address(text),
      ),
    }),
  ],
  absent: (query) => [reply(query, { flags: RESPONSE | NXDOMAIN })],
  // Packets that are no answers, or malformed ones.
  malformed: (query) => [
    Buffer.alloc(0),
    query.subarray(0, 11),
    reply(query, { id: query.readUInt16BE(0) ^ 1, records: [address('10.99.0.66')] }),
    reply(query, { question: Buffer.from('\u0004evil\0\0\u0001\0\u0001', 'latin1') }),
    reply(query, { records: [record(A, Buffer.alloc(4), 60_000)] }),
    reply(query, { records: [record(A, Buffer.alloc(3))] }),
    // A name that is its own, and a pointer to itself.
    reply(query, { records: [record(CNAME, Buffer.from([0xc0, 12]))] }),
    reply(query, { question: Buffer.from([0xc0, 12, 0, 1, 0, 1]) }),
    Buffer.alloc(4000, 0xff),
  ],
};

const answers = (query: Buffer, isTCP: boolean): readonly Buffer[] => {
  if (query.length < 17) return [];
  process.stdout.write('question\n');
  return behaviours[word]?.(query, isTCP) ?? [];
};

const socket = createSocket('udp4');
socket.on('message', (query, from) => {
  for (const packet of answers(query, false)) socket.send(packet, from.port, from.address);
});
const server = createServer((connection) => {
  connection.on('error', () => connection.destroy());
  connection.on('data', (data) => {
    for (const packet of answers(data.subarray(2), true)) {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(Math.min(packet.length, 0xffff));
      connection.write(Buffer.concat([length, packet]));
    }
  });
});
server.listen(53, () => socket.bind(53, () => process.stdout.write('listening\n')));
