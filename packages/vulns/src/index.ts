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
export { AdvisoryIndex, findVulnerabilities, type Vulnerability } from './match.ts';
export { parseOpenVex, statementFor, type VexStatement } from './open-vex.ts';
export { parseSbom, type SbomPackage, type SbomPackages } from './sbom.ts';
export { sarifOf, type SarifFinding } from './sarif.ts';
export { DATABASES, saveDatabase, type SavedDatabase, savedDatabases } from './saved-databases.ts';
