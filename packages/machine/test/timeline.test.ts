import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { BootRecorder, type Timeline } from '../src/timeline.ts';
import { parseTimeline } from '../src/parse-timeline.ts';

const BOOT = `lkt: init 2.100
[    2.2] a line of the kernel
lkt: manifest of 97 files 2.150
lkt: initramfs starts 0.800
lkt: initramfs 1.900
lkt: system ready 2.300\r
lkt: onboot 000-dhcp 3.000
lkt: onboot 001-mount failed: exit status 1 3.100
lkt:   a line of its log, at 9.000
lkt: containerd 3.500
lkt: service a starts 3.600
lkt: service b starts 3.610
lkt: service b failed: exited with status 3 before it was ready 4.000
login: lkt: service a 4.200
lkt: host name web 4.205
lkt: boot ended with 2 failures 4.210
lkt: service b starts 5.000
lkt: service b 6.000
`;

function recorded(text: string, piece = text.length, seconds = 10): Timeline {
  const recorder = new BootRecorder();
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += piece)
    recorder.push(bytes.subarray(at, at + piece), seconds);
  return recorder.timeline;
}

test('a step starts at the end of the previous one, unless it announced its start', () => {
  const { steps, ...rest } = recorded(BOOT);
  expect(rest).toEqual({ version: 1, end: 'failures', firmware: 5.79 });
  expect(steps).toEqual([
    { name: 'kernel', start: 0, end: 2.1 },
    { name: 'initramfs', start: 0.8, end: 1.9 },
    { name: 'manifest of 97 files', start: 2.1, end: 2.15 },
    { name: 'system ready', start: 2.15, end: 2.3 },
    { name: 'onboot 000-dhcp', start: 2.3, end: 3 },
    { name: 'onboot 001-mount', start: 3, end: 3.1, failed: true },
    { name: 'containerd', start: 3.1, end: 3.5 },
    { name: 'host name web', start: 3.5, end: 4.205 },
    { name: 'service a', start: 3.6, end: 4.2 },
    { name: 'service b', start: 3.61, end: 4, failed: true },
  ]);
});

test('returns the same timeline for any chunks', () => {
  for (const piece of [1, 2, 7, 100]) expect(recorded(BOOT, piece)).toEqual(recorded(BOOT));
});

test('firmware time is the maximum difference of the guest’s and host’s clocks', () => {
  const recorder = new BootRecorder();
  recorder.push(Buffer.from('lkt: init 2.000\n'), 3.5);
  recorder.push(Buffer.from('lkt: boot complete 3.000\n'), 4);
  expect(recorder.timeline).toMatchObject({ end: 'complete', firmware: 1 });
  expect(recorded('lkt: init 9.000\n', 100, 1).firmware).toBe(0);
});

test('has no end without the final message', () => {
  expect(recorded('lkt: init 1.000\nlkt: boot complete')).toMatchObject({ end: 'none' });
  expect(recorded('')).toEqual({ version: 1, end: 'none', firmware: 0, steps: [] });
});

test('bounds a hostile console', () => {
  const many = Array.from({ length: 5000 }, (_, index) => `lkt: a${index} 1.000\n`).join('');
  expect(recorded(many)).toMatchObject({ more: true });
  expect(recorded(many).steps).toHaveLength(1000);
  const starts = Array.from({ length: 5000 }, (_, index) => `lkt: a${index} starts 1.000\n`);
  expect(recorded(starts.join(''))).toMatchObject({ more: true, steps: [] });
  const [long, back] = recorded(`lkt: \u001b[2J<b>${'x'.repeat(300)} 2.000\nlkt: b 1.000\n`).steps;
  expect(long?.name).toBe(`<b>${'x'.repeat(117)}`);
  expect(back).toEqual({ name: 'b', start: 1, end: 1 });
  for (const line of ['x 1e9', 'x 1234567.000', 'x -1.000', 'x NaN', ' 1.000', 'x 1.0000', 'x'])
    expect(recorded(`lkt: ${line}\n`).steps).toEqual([]);
});

test('makes an ordered timeline of any console, which reads back equal', () => {
  const line = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc
      .tuple(fc.string(), fc.boolean(), fc.nat(10_000_000))
      .map(
        ([text, starts, at]) => `lkt: ${text}${starts ? ' starts' : ''} ${(at / 1000).toFixed(3)}`,
      ),
  );
  fc.assert(
    fc.property(
      fc.array(line, { maxLength: 8 }),
      fc.integer({ min: 1, max: 99 }),
      (lines, piece) => {
        const timeline = recorded(lines.join('\n'), piece);
        for (const { name, start, end } of timeline.steps) {
          expect(name).toMatch(/^[ -~]{0,120}$/);
          expect(start).toBeGreaterThanOrEqual(0);
          expect(start).toBeLessThanOrEqual(end);
        }
        const file = Buffer.from(JSON.stringify(timeline));
        expect(parseTimeline(file, 'boot.json')).toEqual(timeline);
      },
    ),
  );
});

function parse(value: unknown): Timeline {
  return parseTimeline(Buffer.from(JSON.stringify(value)), 'boot.json');
}

test('rejects a file that is no timeline', () => {
  const good = {
    version: 1,
    end: 'complete',
    firmware: 1,
    steps: [{ name: 'a', start: 1, end: 2 }],
  };
  expect(parse(good)).toEqual(good);
  for (const bad of [
    [],
    { ...good, version: 2 },
    { ...good, end: '<b>' },
    { ...good, firmware: -1 },
    { ...good, firmware: '1' },
    { ...good, steps: {} },
    { ...good, steps: [null] },
    { ...good, steps: [{ name: 'a', start: 2, end: 1 }] },
    { ...good, steps: [{ name: 'a', start: 0, end: 1e9 }] },
    { ...good, steps: [{ name: 'x'.repeat(121), start: 0, end: 1 }] },
    { ...good, steps: Array.from({ length: 1001 }, () => good.steps[0]) },
  ])
    expect(() => parse(bad)).toThrow('boot.json is not a timeline of lkt run: ');
});
