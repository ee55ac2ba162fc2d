export type { Cause, CauseKind } from './cause.ts';
export { checkBuild, type CheckOptions } from './check.ts';
export { compareImages } from './compare-images.ts';
export { WorkerPool } from './worker-pool.ts';
export {
  type CheckReport,
  checkRemarks,
  describeCheck,
  type FileDifference,
  type StepDifference,
} from './report.ts';
