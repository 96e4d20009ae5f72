import type { IdentifiedResource } from '../template/resolved-template.ts';
import { Properties } from './properties.ts';
import { functionNameOf } from './resource-name.ts';

/** A function that is to be invoked by the clock. */
export interface LocalSchedule {
  readonly logicalId: string;
  readonly name: string;
  readonly functionName: string;
  /** `rate(5 minutes)`, `cron(...)` or `at(...)`, as the template has it. */
  readonly expression: string;
  readonly isEnabled: boolean;
  /** The payload as JSON text; undefined where EventBridge would send its own event. */
  readonly input: string | undefined;
}

/**
 * Reads the schedules of an EventBridge rule or an EventBridge Scheduler schedule.
 * @returns a text for each thing about it that does nothing here.
 */
export function describeSchedules(resource: IdentifiedResource): (LocalSchedule | string)[] {
  const properties = Properties.of(resource);
  const expression = properties.text('ScheduleExpression');
  if (expression === undefined) {
    return [`Rule ${resource.ref} waits for events; the local cloud has no event bus, only schedules.`];
  }
  const target = properties.inner('Target');
  const targets = target === undefined ? properties.list('Targets') : [target];
  return targets.map((each) => {
    const arn = each.requiredText('Arn');
    if (!arn.includes(':lambda:'))
      return `Schedule ${resource.ref} has the target ${arn}, which is no function.`;
    return {
      logicalId: resource.logicalId,
      name: resource.ref,
      functionName: functionNameOf(arn),
      expression,
      isEnabled: (properties.text('State') ?? 'ENABLED') === 'ENABLED',
      input: each.text('Input'),
    };
  });
}
