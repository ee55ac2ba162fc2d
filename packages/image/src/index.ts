export {
  type ComposedImage,
  composeImage,
  type ComposeOptions,
  type Format,
  FORMATS,
} from './compose.ts';
export {
  type Container,
  imageReferencesOf,
  mergeConfigs,
  parseConfig,
  type SystemConfig,
} from './config/config.ts';
export { type ImageReference } from './config/reference.ts';
export { type Compressor, COMPRESSORS } from './initrd/compressor.ts';
export { type InitrdInfo, readInitrdInfo } from './initrd/info.ts';
export { type OutputFile } from './output/write.ts';
export { tarOf } from './output/tar.ts';
export { pinConfig } from './pin.ts';
export { type Plan, planImage, type PlanOptions } from './plan.ts';
