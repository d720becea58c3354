import { showLink } from '../../core/route.ts';
import type { LinkStatus } from '../results.ts';
import { status } from '../status.ts';
import type { Examination } from './examination.ts';
import type { Check, Found } from './finding.ts';

/** Links that do not run, and rows that they hold. */
export const linkCheck: Check = {
  name: 'link',
  fine: 'Its links run and hold nothing.',
  run: async ({ app }: Examination) => {
    const { links } = await status(app, new AbortController().signal);
    return links.flatMap(judgeLink);
  },
};

/** What there is to say of one link. */
export function judgeLink(link: LinkStatus): readonly Found[] {
  const name = showLink(link);
  const about = { node: link.source, table: null } as const;
  const found: Found[] = [];
  if (link.state === 'stopped')
    found.push({ ...about, level: 'error', message: `Link ${name} has stopped and needs you: ${link.lastError ?? ''}`, advice: 'Mend what it names; the daemon then goes on by itself.' }); // prettier-ignore
  if (link.state === 'retrying')
    found.push({ ...about, level: 'warning', message: `Link ${name} cannot get on and tries again: ${link.lastError ?? ''}`, advice: 'See pgrep status.' }); // prettier-ignore
  if (link.state === 'no daemon')
    found.push({ ...about, level: 'warning', message: `No daemon serves link ${name}: its changes wait in the queue.`, advice: 'pgrep run' }); // prettier-ignore
  if (link.held > 0)
    found.push({ ...about, level: 'warning', message: `Link ${name} holds ${link.held === 1 ? 'a row' : `${link.held} rows`} that ${link.target} refused.`, advice: `pgrep errors list --from ${link.source} --to ${link.target}` }); // prettier-ignore
  return found;
}
