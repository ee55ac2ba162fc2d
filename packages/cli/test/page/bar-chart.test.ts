import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { bootChart } from '../../src/output/boot-chart.ts';
import { chartFile, showSeconds } from '../../src/page/bar-chart.ts';

test('draws a bar for every step of any timeline, in equal bytes', () => {
  const seconds = fc.double({ min: 0, max: 1e6, noNaN: true, maxExcluded: true });
  const step = fc
    .record({ name: fc.string({ unit: 'binary' }), start: seconds, length: seconds })
    .map(({ name, start, length }) => ({ name, start, end: start + length }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 8 }), seconds, (steps, firmware) => {
      const timeline = { version: 1, end: 'none', firmware, steps } as const;
      const svg = chartFile(bootChart(timeline));
      const again = chartFile(bootChart(structuredClone(timeline)));
      const drawn = svg.match(/<g /g)?.length;
      return svg === again && drawn === steps.length + 1 && !/NaN|Infinity|undefined/.test(svg);
    }),
  );
});

test('escapes names of the guest', () => {
  const steps = [{ name: '<script>alert("&")</script>\u001b\u202e', start: 0, end: 1 }];
  const svg = chartFile(bootChart({ version: 1, end: 'complete', firmware: 0, steps }));
  expect(svg).not.toContain('<script');
  expect(svg).toContain('&#60;script&#62;alert(&#34;&#38;&#34;)&#60;/script&#62;\\u{1b}\\u{202e}');
});

test('draws bars to one scale and marks failures', () => {
  const svg = chartFile(
    bootChart({
      version: 1,
      end: 'failures',
      firmware: 1,
      steps: [
        { name: 'kernel', start: 0, end: 2 },
        { name: 'service a', start: 2, end: 3, failed: true },
      ],
    }),
  );
  const bars = [
    ...svg.matchAll(/<g class="(\w+)">.*?<rect x="([\d.]+)" y="\d+" width="([\d.]+)"/g),
  ];
  expect(bars.map(([, kind, x, width]) => [kind, Number(x), Number(width)])).toEqual([
    ['none', 300, 160],
    ['none', 460, 320],
    ['failed', 780, 160],
  ]);
  expect(svg).toContain('boot ended with failures after 4.000 s');
  expect(svg).toContain('prefers-color-scheme: dark');
});

test('shows long times in minutes, and fills the window of a file with the colour of the chart', () => {
  expect([0.0381, 59.9994, 60, 195.8].map(showSeconds)).toEqual([
    '0.038 s',
    '59.999 s',
    '1 min 0 s',
    '3 min 16 s',
  ]);
  const svg = chartFile({
    title: 'a',
    bars: [{ label: 'b', start: 0, end: 195.8, kind: 'first' }],
  });
  expect(svg).toContain('3 min 16 s</text>');
  expect(svg).toContain(':root { background: #16181d; }');
});

const chart = (label: string): string =>
  chartFile({ title: 'a', bars: [{ label, start: 0, end: 1, kind: 'first' }] });

test('shows labels of usual commands whole, before the bars', () => {
  const label = 'mid/deep/tool:0/12: [0 11/14] COPY --from=build /out /usr/bin';
  expect(chart(label)).toContain(`>${label}</text><rect x="451"`);
  expect(chart('x'.repeat(200))).toContain(`>${'x'.repeat(99)}…</text>`);
});
