export {
  type Advisory,
  type AffectedPackage,
  type Ecosystem,
  isAtLeast,
  SEVERITIES,
  type Severity,
  type VersionRange,
} from './advisory.ts';
export { readDatabase } from './database.ts';
export { evaluate, failing, type Finding, isExcluded, type Subject } from './evaluate.ts';
export { AdvisoryIndex, fixedVulnerabilities, type Vulnerability } from './match.ts';
export { parseOpenVex, type VexStatement } from './open-vex.ts';
export { missingIn, parseSbom, parseSboms, type SbomPackage, type SbomPackages } from './sbom.ts';
export { sarifOf } from './sarif.ts';
export {
  DATABASES,
  describeStaleness,
  saveDatabase,
  type SavedDatabase,
  savedDatabases,
} from './saved-databases.ts';
