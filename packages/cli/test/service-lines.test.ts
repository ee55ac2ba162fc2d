import { expect, test } from 'vitest';
import { ServiceLines } from '../src/machines/service-lines.ts';

const CONSOLE = [
  'lkt: onboot 000-web 1.000',
  'lkt: service web starts 2.000',
  'lkt: service dhcp starts 2.000',
  'dhcp: eth0 has 10.0.2.15',
  'web: \u001b[31mlistens\u001b[0m\ton 80\r',
  'lkt: service webs 2.100',
  'lkt: service web 2.200',
  'web2: not this',
  'lkt: service web exited with status 1 3.000',
  'lkt:   the end of its log',
  'lkt: service dhcp failed: x 3.100',
  'lkt:   the end of another log',
  'onboot.000-web: prepared',
  'no newline at the end',
].join('\n');

function linesOf(service: string | undefined, size = 7): [readonly string[], boolean] {
  const lines: string[] = [];
  const reader = new ServiceLines(service, (line) => lines.push(line));
  const bytes = Buffer.from(CONSOLE);
  for (let at = 0; at < bytes.length; at += size) reader.push(bytes.subarray(at, at + size));
  reader.end();
  return [lines, reader.hasLog];
}

test('selects the log of a service, its steps, and the end of its log after a failure', () => {
  expect(linesOf('web')).toEqual([
    [
      'lkt: service web starts 2.000',
      'listens  on 80',
      'lkt: service web 2.200',
      'lkt: service web exited with status 1 3.000',
      'lkt:   the end of its log',
    ],
    true,
  ]);
});

test('selects the log of an onboot container by its name', () => {
  expect(linesOf('onboot.000-web')).toEqual([['lkt: onboot 000-web 1.000', 'prepared'], true]);
});

test('reports a service whose log the console lacks', () => {
  expect(linesOf('webs')).toEqual([['lkt: service webs 2.100'], false]);
});

test('prints all lines without control characters, also one without an end', () => {
  const [lines] = linesOf(undefined, 1000);
  expect(lines).toHaveLength(14);
  expect(lines.join('\n')).not.toMatch(/\p{Cc}(?<!\n)/u);
  expect(lines.at(-1)).toBe('no newline at the end');
});
