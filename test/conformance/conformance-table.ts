import { format, resolveConfig } from 'prettier';
import { conformanceCases, nameOf, type ConformanceCase } from './conformance-case.ts';
import { OPERATORS } from './operators.ts';
import { DOES_NOT_APPLY, EXCEPT_FOR, HOW } from './what-applies.ts';

const BEGIN = '<!-- conformance: written by npm run conformance -->';
const END = '<!-- end of conformance -->';

/** The row of a case. @throws Error where it has none, or is in two. */
export function operatorOf(given: ConformanceCase): (typeof OPERATORS)[number] {
  const [own, ...others] = OPERATORS.filter(({ has }) => has(given));
  if (own !== undefined && others.length === 0) return own;
  throw new Error(
    `The case '${nameOf(given)}' is in ${own === undefined ? 'no row' : 'several rows'} of the table.`,
  );
}

/** What the README says of the cases; that they pass, who runs them must know. */
export function conformanceTable(): string {
  const cases = conformanceCases();
  const applies = (given: ConformanceCase): boolean => !(nameOf(given) in DOES_NOT_APPLY);
  const isWhole = (given: ConformanceCase): boolean => applies(given) && !(nameOf(given) in EXCEPT_FOR);
  const rows = OPERATORS.map((operator) => {
    const own = cases.filter((given) => operatorOf(given) === operator);
    const part = own.filter((given) => applies(given) && !isWhole(given)).length;
    const passed = `${own.filter(isWhole).length} of ${own.length}`;
    return `| ${operator.spark} | ${operator.tidemark} | ${passed}${part === 0 ? '' : `, ${part} in part`} |`;
  });
  const count = (has: (given: ConformanceCase) => boolean): number => cases.filter(has).length;
  return [
    `Of ${cases.length} cases taken from Spark’s own test suites, ${count(isWhole)} give here what they give there, ` +
      `${count((given) => applies(given) && !isWhole(given))} do in part, and ${count((given) => !applies(given))} do not ` +
      'apply. A batch of a case is what arrives in one interval. Each runs through the real engine with one shard and with ' +
      'four, over which its records are spread whatever their keys, record by record and in large batches, once and ' +
      'delivered again, swept behind each batch and late: the results are the same.',
    ['| Spark | Tidemark | cases |', '| --- | --- | --- |', ...rows].join('\n'),
    'How they are run:',
    Object.values(HOW)
      .map((how) => `- ${how}`)
      .join('\n'),
    'In part:',
    listed(EXCEPT_FOR),
    'Do not apply:',
    listed(DOES_NOT_APPLY),
  ].join('\n\n');
}

/** Cases of one reason together. */
function listed(reasons: Readonly<Record<string, string>>): string {
  return [...new Set(Object.values(reasons))]
    .map((reason) => {
      const names = Object.keys(reasons).filter((name) => reasons[name] === reason);
      return `- ${names.map((name) => `_${name.slice(name.indexOf(': ') + 2)}_`).join(', ')}: ${reason}.`;
    })
    .join('\n');
}

/** The README with the table in its place, as it is formatted. @throws Error where it has no place for it. */
export async function readmeWithTable(readme: string, path: string): Promise<string> {
  const [begin, end] = [readme.indexOf(BEGIN), readme.indexOf(END)];
  if (begin === -1 || end < begin) throw new Error(`The README has no '${BEGIN}' with a '${END}' behind it.`);
  const text = `${readme.slice(0, begin)}${BEGIN}\n\n${conformanceTable()}\n\n${readme.slice(end)}`;
  return format(text, { ...(await resolveConfig(path)), parser: 'markdown' });
}
