export { simulate, type SimulationOptions, type SimulationResult } from './simulate.ts';
export { simulationSvg } from './simulation-svg.ts';
