import { expect, test } from 'vitest';
import { EXAMPLE_LABELS } from './example-labels.ts';
import {
  formatNodeRecord,
  hasGraceEnded,
  type NodeRecord,
  parseNodeRecord,
} from '../src/providers/node-record.ts';

const record: NodeRecord = {
  labels: EXAMPLE_LABELS,
  published: new Map([[8080, { host: '127.0.0.1', port: 20_001 }]]),
  killAt: 1_700_000_000_001,
};

test('parses the record that it formats', () => {
  expect(parseNodeRecord(formatNodeRecord(record))).toEqual(record);
  const { killAt: _, ...running } = record;
  expect(parseNodeRecord(formatNodeRecord(running))).toEqual(running);
});

test.each<[string, (text: string) => string]>([
  ['no JSON', (text) => text.slice(1)],
  ['null', () => 'null'],
  ['a list', () => '[]'],
  ['a label that is missing', (text) => text.replace('lkt.group', 'lkt.other')],
  ['a port out of range', (text) => text.replace('20001', '70000')],
  ['an empty host', (text) => text.replace('127.0.0.1', '')],
  ['a host of another type', (text) => text.replace('"127.0.0.1"', '{}')],
  ['a port that is no object', (text) => text.replace(/\[\{.*?\}\]/, '[null]')],
  ['a time that is a text', (text) => text.replace('1700000000001', '"soon"')],
  ['a record that is too long', (text) => `${text}${' '.repeat(20_000)}`],
])('rejects %s', (_, damage) => {
  const text = formatNodeRecord(record);
  expect(damage(text)).not.toBe(text);
  expect(parseNodeRecord(damage(text))).toBeUndefined();
});

test.each([
  ['before the deadline', 1_030_000, 30_000, false],
  ['at the deadline', 1_000_000, 30_000, true],
  ['by the clock of another controller, some seconds ahead', 1_045_000, 30_000, false],
  ['by a clock that was a day ahead', 1_030_000 + 86_400_000, 30_000, true],
  ['after the grace became shorter', 1_600_000, 0, true],
])('reports whether the grace of a guest is over: %s', (_, killAt, graceMs, isOver) => {
  expect(hasGraceEnded(killAt, graceMs, 1_000_000)).toBe(isOver);
});
