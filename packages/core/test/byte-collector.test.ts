import { expect, test } from 'vitest';
import { ByteCollector } from '../src/index.ts';

test('ByteCollector copies parts of any size', () => {
  const collector = new ByteCollector();
  expect(collector.bytes()).toEqual(Buffer.of());
  const part = Buffer.alloc(1);
  for (let index = 0; index < 10_000; index += 1) {
    part.fill(index);
    collector.push(part);
  }
  collector.push(Buffer.alloc(100_000, 'x'));
  collector.push(Buffer.of());
  const expected = [
    Buffer.from(Array.from({ length: 10_000 }, (_, index) => index)),
    Buffer.alloc(100_000, 'x'),
  ];
  expect(collector.size).toBe(110_000);
  expect(collector.bytes().equals(Buffer.concat(expected))).toBe(true);
});
