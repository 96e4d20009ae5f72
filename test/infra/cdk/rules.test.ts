import { App, Validations, type Acknowledgment } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { PIPELINES } from '../../../infra/pipelines.ts';
import { PipelineStack } from '../../../infra/stack.ts';
import { SMALL_HANDLER_FILE } from './fixtures/orders-pipeline.ts';
import { temporaryFolder } from './fixtures/orders-stack.ts';

/** As few characters as a sentence has that says why; `n/a` is none. */
const REASON_CHARACTERS = 60;

afterEach(() => {
  vi.restoreAllMocks();
});

/** What cdk-nag's AwsSolutions rules find in the stacks of all pipelines; the code of the functions is not their matter. */
function findings(): { readonly rule: string; readonly where: string | undefined }[] {
  const app = new App({ outdir: temporaryFolder(), builtinCloudFormationValidation: false });
  for (const { pipeline } of PIPELINES) {
    new PipelineStack(app, { pipeline, handlerFile: SMALL_HANDLER_FILE });
  }
  return new AwsSolutionsChecks().validateScope(app).violations.flatMap(({ ruleName, violatingResources }) =>
    violatingResources.map(({ constructPath, resourceLogicalId }) => ({
      rule: ruleName,
      where: constructPath ?? resourceLogicalId,
    })),
  );
}

describe("cdk-nag's AwsSolutions rules, over every pipeline of functions/", () => {
  it('find nothing without a reason', () => {
    expect(findings()).toEqual([]);
  });

  it('find what the reasons are for, and each reason is a sentence', () => {
    const acknowledged: Acknowledgment[] = [];
    vi.spyOn(Validations.prototype, 'acknowledge').mockImplementation((...rules) => {
      acknowledged.push(...rules);
    });
    const found = findings().map(({ rule }) => rule);

    expect(found.length).toBeGreaterThanOrEqual(PIPELINES.length);
    expect(acknowledged.map(({ id }) => id).sort()).toEqual(found.sort());
    const wordless = acknowledged.filter(({ reason }) => reason.trim().length < REASON_CHARACTERS);
    expect(wordless).toEqual([]);
  });
});
