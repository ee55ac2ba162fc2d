import type { Timeline, TimelineStep } from './timeline.ts';

const ROW = 22;
const LABELS = 260;
const PLOT = 640;
const MARGIN = 12;
const TOP = 48;
/** Space for the duration after a bar. */
const RIGHT = 70;
const MAX_LABEL_CHARS = 40;

/**
 * Returns an SVG of a {@link Timeline}: a bar for every step, in seconds since the start of QEMU,
 * for light and dark backgrounds. It refers to no other resource. Equal timelines give equal bytes.
 */
export function timelineSvg(timeline: Timeline): string {
  const { firmware, end } = timeline;
  const bars = [{ name: 'firmware', start: -firmware, end: 0 }, ...timeline.steps];
  const last = Math.max(0, ...timeline.steps.map((step) => step.end));
  const total = Math.max(firmware + last, 0.001);
  const x = (seconds: number): number => LABELS + ((seconds + firmware) / total) * PLOT;
  const width = LABELS + PLOT + RIGHT;
  const bottom = TOP + bars.length * ROW;
  const lines = ticks(total).map((second) => {
    const at = number(x(second - firmware));
    return `<path d="M${at} ${TOP - 6}V${bottom}"/><text x="${at}" y="${TOP - 12}" class="tick">${second} s</text>`;
  });
  const height = bottom + MARGIN;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">
<title>Boot timeline</title>
<style>${STYLE}</style>
<rect width="${width}" height="${height}" class="page"/>
<text x="${MARGIN}" y="20" class="title">${escaped(title(end, total, timeline.more))}</text>
${[...lines, ...bars.map((step, row) => bar(step, TOP + row * ROW, x))].join('\n')}
</svg>
`;
}

function bar(step: TimelineStep, y: number, x: (seconds: number) => number): string {
  const { name, start, end, failed } = step;
  const length = `${(end - start).toFixed(3)} s`;
  const hint = `${name}${failed ? ' failed' : ''}: ${length}, from ${start.toFixed(3)} to ${end.toFixed(3)} of the kernel's clock`;
  const [left, right] = [x(start), x(end)];
  const text = y + ROW / 2 + 4;
  return `<g class="${failed ? 'failed' : kindOf(name)}"><title>${escaped(hint)}</title><text x="${MARGIN}" y="${text}">${escaped(cut(name))}</text><rect x="${number(left)}" y="${y + 4}" width="${number(Math.max(right - left, 1))}" height="${ROW - 8}" rx="2"/><text x="${number(Math.max(right, left + 1) + 5)}" y="${text}" class="length">${length}</text></g>`;
}

function title(end: Timeline['end'], total: number, more: true | undefined): string {
  const ends = {
    complete: 'boot complete',
    failures: 'boot ended with failures',
    none: 'boot not complete',
  };
  return `${ends[end]} after ${total.toFixed(3)} s${more ? '; more steps are not shown' : ''}`;
}

/** Returns at most ten ticks, at whole seconds or round fractions. */
function ticks(total: number): readonly number[] {
  const size = 10 ** Math.floor(Math.log10(total / 10));
  const step = [1, 2, 5, 10].map((times) => times * size).find((one) => total / one <= 10) ?? total;
  return Array.from({ length: Math.floor(total / step) + 1 }, (_, index) =>
    Number((index * step).toPrecision(6)),
  );
}

function kindOf(name: string): string {
  const [first = ''] = name.split(' ');
  if (['firmware', 'kernel', 'initramfs'].includes(first)) return 'kernel';
  return ['onboot', 'service'].includes(first) ? first : 'init';
}

/** Shortens a label; the full name is in the bar's title. */
function cut(text: string): string {
  return text.length > MAX_LABEL_CHARS ? `${text.slice(0, MAX_LABEL_CHARS - 1)}…` : text;
}

function number(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

const STYLE = `
.page { fill: #fff; }
text { fill: #222; font: 12px system-ui, sans-serif; }
.title { font-size: 14px; font-weight: 600; }
.tick, .length { fill: #666; font-size: 11px; }
.tick { text-anchor: middle; }
path { stroke: #8883; }
.kernel rect { fill: #7d8aa0; }
.init rect { fill: #3d7fd6; }
.onboot rect { fill: #d08a1d; }
.service rect { fill: #3a9a57; }
.failed rect { fill: #cf3a3a; }
@media (prefers-color-scheme: dark) {
  .page { fill: #16181d; }
  text { fill: #ddd; }
  .tick, .length { fill: #9a9a9a; }
}
`;
