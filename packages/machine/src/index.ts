export { type Accelerator, type AcceleratorName, probeAccelerator } from './accelerator.ts';
export { type BootFiles, findBootFiles } from './boot-files.ts';
export { type BootMedium, findBootMedium } from './boot-medium.ts';
export { type Disk, type DiskFormat, parseDisk } from './disk.ts';
export { type MachineOptions, type MachineResult, runMachine, type Started } from './machine.ts';
export { metadataDisk, writeMetadataDisk } from './metadata-disk.ts';
export { parsePublication, type Publication } from './publish.ts';
export { waitForPort, type WaitOptions } from './wait-for-port.ts';
