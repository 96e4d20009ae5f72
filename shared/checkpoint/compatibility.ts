import { versionProblem } from '../engine/bring-forward.ts';
import type { Program } from '../engine/program.ts';
import type { Manifest } from './manifest.ts';

/**
 * Why today's code cannot go on from a checkpoint: every reason, each with what to do. None where it can.
 * @param dropped operators whose state may be carried along unused.
 */
export function incompatibilities(
  { pipeline, operators }: Pick<Manifest, 'pipeline' | 'operators'>,
  { definition, operators: known }: Program,
  dropped: ReadonlySet<string> = new Set(),
): string[] {
  const problems: string[] = [];
  if (pipeline !== definition.name) {
    problems.push(
      `the checkpoint is of pipeline '${pipeline}', and this is '${definition.name}'; to go on from it elsewhere, fork`,
    );
  }
  for (const { name, version } of operators) {
    const operator = known.find((each) => each.name === name || each.renamedFrom?.includes(name) === true);
    if (operator === undefined) {
      if (dropped.has(name)) continue;
      problems.push(
        `it holds state of operator '${name}', which the code does not have; where it has another name now, say so by ` +
          `'renamedFrom', and where its state is not wanted any more, name it with --drop-operator`,
      );
      continue;
    }
    const problem = versionProblem(operator, version);
    if (problem === undefined) continue;
    problems.push(
      `it holds state of operator '${name}' in version ${version}, and the code is version ${operator.version}: ${problem}`,
    );
  }
  return problems;
}
