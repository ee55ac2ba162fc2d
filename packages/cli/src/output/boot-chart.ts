import type { Timeline } from '@lkt/machine';
import { type Bar, type BarChart, showSeconds } from '../page/bar-chart.ts';

/** Returns the chart of a boot: a bar for every step, in seconds since the start of QEMU. */
export function bootChart({ firmware, end, steps, more }: Timeline): BarChart {
  const ends = {
    complete: 'boot complete',
    failures: 'boot ended with failures',
    none: 'boot not complete',
  };
  const total = firmware + Math.max(0, ...steps.map((step) => step.end));
  return {
    title: `${ends[end]} after ${showSeconds(total)}${more ? '; more steps are not shown' : ''}`,
    bars: [
      { label: 'firmware', start: -firmware, end: 0, kind: 'none' },
      ...steps.map((step): Bar => {
        const length = `${(step.end - step.start).toFixed(3)} s`;
        return {
          label: step.name,
          start: step.start,
          end: step.end,
          kind: step.failed ? 'failed' : kindOf(step.name),
          hint: `${step.name}${step.failed ? ' failed' : ''}: ${length}, from ${step.start.toFixed(3)} to ${step.end.toFixed(3)} of the kernel's clock`,
        };
      }),
    ],
  };
}

function kindOf(name: string): Bar['kind'] {
  const [first = ''] = name.split(' ');
  if (['kernel', 'initramfs'].includes(first)) return 'none';
  return first === 'onboot' ? 'second' : first === 'service' ? 'third' : 'first';
}
