import { Html, markup } from './html.ts';

/** A span of time in a row of its own. */
export interface Bar {
  readonly label: string;
  /** In seconds; never after `end`. */
  readonly start: number;
  readonly end: number;
  /** Selects the colour. */
  readonly kind: 'none' | 'first' | 'second' | 'third' | 'failed';
  /** The whole text for the bar; default: label and times. */
  readonly hint?: string;
}

export interface BarChart {
  readonly title: string;
  readonly bars: readonly Bar[];
}

const ROW = 22;
/** Minimum width of the labels. */
const LABELS = 300;
const PLOT = 640;
const MARGIN = 12;
const TOP = 48;
/** Space for the duration after a bar. */
const RIGHT = 70;
/** Width of most characters of a label; few are wider. */
const CHAR = 7;
/** Labels of commands may be long. */
const MAX_LABEL_CHARS = 100;

/**
 * Returns a chart as an SVG file: a bar for every span, for light and dark backgrounds. It refers
 * to no other resource. Equal charts give equal bytes.
 */
export function chartFile(chart: BarChart): string {
  return `${drawn(chart, markup`<style>${new Html(`${WINDOW_STYLE}${CHART_STYLE}`)}</style>`).text}\n`;
}

/** Returns a chart as a part of a page with {@link CHART_STYLE}. */
export function chartFigure(chart: BarChart): Html {
  return markup`<div class="scroll" role="region" aria-label="${chart.title}" tabindex="0">${drawn(chart)}</div>`;
}

function drawn({ title, bars }: BarChart, style?: Html): Html {
  const first = Math.min(0, ...bars.map(({ start }) => start));
  const total = Math.max(0.001, ...bars.map(({ end }) => end - first));
  const longest = Math.max(0, ...bars.map(({ label }) => cut(label).length));
  const labels = Math.max(LABELS, longest * CHAR + 2 * MARGIN);
  const x = (seconds: number): number => labels + ((seconds - first) / total) * PLOT;
  const width = labels + PLOT + RIGHT;
  const bottom = TOP + bars.length * ROW;
  const height = bottom + MARGIN;
  const lines = ticks(total).map((second) => {
    const at = rounded(x(second + first));
    return markup`<path d="M${at} ${TOP - 6}V${bottom}"/><text x="${at}" y="${TOP - 12}" class="tick">${second} s</text>\n`;
  });
  return markup`<svg xmlns="http://www.w3.org/2000/svg" class="chart" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">
<title>${title}</title>
${style}<rect width="${width}" height="${height}" class="page"/>
<text x="${MARGIN}" y="20" class="title">${title}</text>
${lines}${bars.map((bar, row) => drawnBar(bar, TOP + row * ROW, x))}</svg>`;
}

function drawnBar(bar: Bar, y: number, x: (seconds: number) => number): Html {
  const { label, start, end, kind } = bar;
  const length = showSeconds(end - start);
  const hint = bar.hint ?? `${label}: ${length}`;
  const [left, right] = [x(start), x(end)];
  const text = y + ROW / 2 + 4;
  return markup`<g class="${kind}"><title>${hint}</title><text x="${MARGIN}" y="${text}">${cut(label)}</text><rect x="${rounded(left)}" y="${y + 4}" width="${rounded(Math.max(right - left, 1))}" height="${ROW - 8}" rx="2"/><text x="${rounded(Math.max(right, left + 1) + 5)}" y="${text}" class="length">${length}</text></g>\n`;
}

/** Returns at most ten ticks, at whole seconds or round fractions. */
function ticks(total: number): readonly number[] {
  const size = 10 ** Math.floor(Math.log10(total / 10));
  const step = [1, 2, 5, 10].map((times) => times * size).find((one) => total / one <= 10) ?? total;
  return Array.from({ length: Math.floor(total / step) + 1 }, (_, index) =>
    Number((index * step).toPrecision(6)),
  );
}

/** Returns a time: `0.038 s`, and from a minute on `3 min 16 s`. */
export function showSeconds(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(3)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** Shortens a label; the bar's title has the whole text. */
function cut(text: string): string {
  return text.length > MAX_LABEL_CHARS ? `${text.slice(0, MAX_LABEL_CHARS - 1)}…` : text;
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}

/** Colours the window around a chart that is opened as a file. */
const WINDOW_STYLE = `
:root { background: #fff; }
@media (prefers-color-scheme: dark) { :root { background: #16181d; } }
`;

export const CHART_STYLE: string = `
.chart { display: block; }
.chart .page { fill: #fff; }
.chart text { fill: #222; font: 12px system-ui, sans-serif; }
.chart .title { font-size: 14px; font-weight: 600; }
.chart .tick, .chart .length { fill: #5c5c5c; font-size: 11px; }
.chart .tick { text-anchor: middle; }
.chart path { stroke: #8883; }
.chart .none rect { fill: #7d8aa0; }
.chart .first rect { fill: #3d7fd6; }
.chart .second rect { fill: #d08a1d; }
.chart .third rect { fill: #3a9a57; }
.chart .failed rect { fill: #cf3a3a; }
@media (prefers-color-scheme: dark) {
  .chart .page { fill: #16181d; }
  .chart text { fill: #ddd; }
  .chart .tick, .chart .length { fill: #a6a6a6; }
}
`;
