import type { DestroyReason } from '../provider.ts';
import type { SimulationResult } from './simulate.ts';

const WIDTH = 960;
const HEIGHT = 320;
const LEFT = 56;
const RIGHT = 12;
const TOP = 56;
const BOTTOM = 36;
const COLORS: readonly (readonly [DestroyReason, string])[] = [
  ['expired', '#3d7fd6'],
  ['image', '#3a9a57'],
  ['unhealthy', '#d08a1d'],
  ['failed', '#cf3a3a'],
];

/**
 * Returns an SVG of the nodes that were destroyed on each day, by reason, for light and dark
 * backgrounds. It refers to no other resource. Equal results give equal bytes.
 */
export function simulationSvg({ nodes, days, daily }: SimulationResult): string {
  const totals = daily.map((day) => Object.values(day).reduce((sum, count) => sum + count, 0));
  const most = Math.max(1, ...totals);
  const plotHeight = HEIGHT - TOP - BOTTOM;
  const step = (WIDTH - LEFT - RIGHT) / Math.max(1, days);
  const bars = daily.flatMap((day, index) => {
    let y = HEIGHT - BOTTOM;
    return COLORS.flatMap(([reason, color]) => {
      const count = day[reason] ?? 0;
      if (count === 0) return [];
      const height = (count / most) * plotHeight;
      y -= height;
      return [
        `<rect x="${round(LEFT + index * step)}" y="${round(y)}" width="${round(Math.max(step - 0.3, 0.5))}" height="${round(height)}" fill="${color}"><title>day ${index + 1}: ${count} ${reason}</title></rect>`,
      ];
    });
  });
  const legend = COLORS.map(
    ([reason, color], index) =>
      `<rect x="${LEFT + index * 110}" y="30" width="10" height="10" fill="${color}"/><text x="${LEFT + 16 + index * 110}" y="39">${reason}</text>`,
  );
  const labels = [0, 0.5, 1].map((part) => {
    const y = round(HEIGHT - BOTTOM - part * plotHeight);
    return `<path d="M${LEFT} ${y}H${WIDTH - RIGHT}"/><text x="${LEFT - 6}" y="${y + 4}" class="end">${Math.round(part * most)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img">
<title>Nodes replaced on each day</title>
<style>${STYLE}</style>
<rect width="${WIDTH}" height="${HEIGHT}" class="page"/>
<text x="${LEFT}" y="20" class="title">nodes replaced on each day, of ${nodes} nodes in ${days} days</text>
${[...legend, ...labels, ...bars].join('\n')}
</svg>
`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

const STYLE = `
.page { fill: #fff; }
text { fill: #222; font: 12px system-ui, sans-serif; }
.title { font-size: 14px; font-weight: 600; }
.end { text-anchor: end; }
path { stroke: #8883; }
@media (prefers-color-scheme: dark) {
  .page { fill: #16181d; }
  text { fill: #ddd; }
}
`;
