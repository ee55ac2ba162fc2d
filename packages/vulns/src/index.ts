export {
  type Advisory,
  type AffectedPackage,
  isAtLeast,
  SEVERITIES,
  type Severity,
  type VersionRange,
} from './advisory.ts';
export { readDatabase } from './database.ts';
export { ECOSYSTEMS, type Ecosystem, type EcosystemInfo } from './ecosystems.ts';
export { evaluate, failing, type Finding, isExcluded, type Subject } from './evaluate.ts';
export { AdvisoryIndex, fixedVulnerabilities, type Vulnerability } from './match.ts';
export { parseOpenVex, type VexStatement } from './open-vex.ts';
export { missingIn, parseSbom, parseSboms, type SbomDocument, type SbomPackages } from './sbom.ts';
export type { SbomPackage } from './sbom-package.ts';
export { sarifOf } from './sarif.ts';
export {
  describeStaleness,
  saveDatabase,
  type SavedDatabase,
  savedDatabases,
} from './saved-databases.ts';
