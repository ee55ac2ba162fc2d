export { type Accelerator, type AcceleratorName, probeAccelerator } from './accelerator.ts';
export { type BootFiles, findBootFiles } from './boot-files.ts';
export { type BootMedium, findBootMedium } from './boot-medium.ts';
export {
  type DetachedMachine,
  type DetachedOptions,
  isMachineRunning,
  killForgottenMachines,
  killMachine,
  powerDown,
  startDetached,
} from './detached-machine.ts';
export { type Disk, ensureDisk, type DiskFormat, parseDisk } from './disk.ts';
export {
  type MachineOptions,
  type MachineResult,
  runMachine,
  type StartedMachine,
} from './machine.ts';
export { metadataDisk, writeMetadataDisk } from './metadata-disk.ts';
export { parsePublishedPort, type PublishedPort, resolveHostPort } from './published-port.ts';
export { bootCmdline, type BridgedCard, type DetachedFiles } from './qemu.ts';
export { BootRecorder, type Timeline, type TimelineStep } from './timeline.ts';
export { parseTimeline } from './parse-timeline.ts';
export { followConsoleLog, readConsoleLog } from './records/console-log.ts';
export { stateOf } from './records/process-id.ts';
export { type MachineRecord, MachineRecords, type OpenRecord } from './records/records.ts';
export { announcedHostKey, knownHost, sshAnswers } from './records/ssh-server.ts';
export { toolMissing } from './tool.ts';
