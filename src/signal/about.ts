import type {About} from '../common/verb.js';

/** The command without its verbs, which are read one by one where only one is needed. */
export const about: About = {
	name: 'ipc-signal',
	summary: 'Send signals to the right process and receive signals with sender and value',
	examples: [
		{purpose: 'receive, in one terminal', line: 'ipc-signal wait USR1 RTMIN --follow --name events'},
		{purpose: 'send, in another terminal', line: 'ipc-signal send RTMIN @events --value 42'},
	],
	loadCluster: () => import('../cluster/signals/index.js'),
};
