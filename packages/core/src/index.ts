export { ByteCollector } from './byte-collector.ts';
export { monotonicNow } from './clock.ts';
export { KeyedMutex, mapConcurrent, ResourcePool, Semaphore } from './concurrency.ts';
export {
  type Digest,
  DIGEST_ALGORITHMS,
  digestAlgorithm,
  type DigestAlgorithm,
  Digester,
  digestFromHex,
  digestFromSet,
  digestHex,
  digestOf,
  digestOfStream,
  digestSet,
  hasDigest,
  isDigest,
  isSha256,
  parseDigest,
} from './digest.ts';
export { isErrno, LktError, type LktErrorCode, undefinedIf, withPrefix } from './errors.ts';
export { ioError } from './io-error.ts';
export { collectChunks, BufferPool } from './memory.ts';
export { duplicateKey } from './duplicate-key.ts';
export { canonicalJson, readJson } from './json.ts';
export { isDeep, MAX_JSON_LEVELS } from './json-depth.ts';
export { longestString } from './json-strings.ts';
export { didYouMean, editDistance, nearest } from './nearest.ts';
export {
  type ProgressEvent,
  type Reporter,
  reportStep,
  SECOND_BUILD,
  silentReporter,
} from './progress.ts';
export { readSource } from './read-source.ts';
export { ownRuntimeDirectory } from './runtime-directory.ts';
export { shellWord } from './shell-word.ts';
export { type Position, type SourceFile, sourceError } from './source.ts';
export { MIN_SPEED, type SpeedLimit, SpeedMeter } from './speed-meter.ts';
export { uniqueBy } from './unique-by.ts';
export { isSpecialFile, kindOfFile } from './special-file.ts';
export { writeFileAtomic } from './write-file-atomic.ts';
export { formatYaml, parseYaml, YamlError, YamlValue } from './yaml.ts';
export { type JsonSchema, type SchemaOptions, SchemaWriter } from './yaml-schema.ts';
export {
  anything,
  boolean,
  choice,
  either,
  type Field,
  type Fields,
  integer,
  list,
  mapping,
  oneOf,
  optional,
  withDefault,
  record,
  required,
  scalar,
  text,
  omitEmpty,
  type Values,
  YamlType,
} from './yaml-type.ts';
