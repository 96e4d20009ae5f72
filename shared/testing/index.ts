export { testPipeline } from './test-pipeline.ts';
export type { TestPipeline } from './test-pipeline.ts';
export { BrokenRuleError } from './broken-rule.ts';
export type { BrokenRule } from './broken-rule.ts';
export type { FaultOptions, FaultReport } from './under-faults.ts';
export type { Output } from './test-world.ts';
