export { type Accelerator, type AcceleratorName, probeAccelerator } from './accelerator.ts';
export { type BootFiles, findBootFiles } from './boot-files.ts';
export { type BootMedium, findBootMedium } from './boot-medium.ts';
export { type Disk, type DiskFormat, parseDisk } from './disk.ts';
export {
  type MachineOptions,
  type MachineResult,
  runMachine,
  type StartedMachine,
} from './machine.ts';
export { metadataDisk, writeMetadataDisk } from './metadata-disk.ts';
export { parsePublishedPort, type PublishedPort } from './published-port.ts';
export { BootRecorder, type Timeline, type TimelineStep } from './timeline.ts';
export { timelineSvg } from './timeline-svg.ts';
