import {countOf} from '../common/errors.js';
import {done, failed} from '../common/exit.js';
import {json} from '../common/options.js';
import {print, printJson} from '../common/output.js';
import {describeBlindness} from '../common/process/proc.js';
import {formatFields} from '../common/terminal/table.js';
import {one, verb} from '../common/verb.js';
import {type SegmentStatus, unseenProcesses} from '../objects/segment/segment-status.js';
import {segmentName, segmentsAt} from '../objects/segment/segments.js';

export function describeSegment(status: SegmentStatus): [string, string | string[]][] {
	const {ring, users, unseen, cluster} = status;
	if (cluster)
		return [
			['name', status.name],
			['size', countOf(status.size, 'byte')],
			['revision', String(cluster.revision)],
			['changed', status.changed],
			['stored', cluster.stored === 'value' ? 'as the value of a key' : 'in the object store'],
			['replicas', String(cluster.replicas)],
		];
	const usersThat = (which: 'maps' | 'open', otherwise: string): string | string[] => {
		if (users === null) return describeBlindness();
		const found = users.filter((user) => user[which]).map(({pid, command}) => `${pid} ${command}`);
		return found.length === 0 ? otherwise : found;
	};
	const hint = unseen === 0 ? '' : ` (${unseenProcesses(unseen)} cannot be inspected)`;
	return [
		['name', status.name],
		['size', countOf(status.size, 'byte')],
		['memory', countOf(status.allocated, 'byte')],
		['mode', status.mode ?? ''],
		['owner', status.owner ?? ''],
		['changed', status.changed],
		['mapped', usersThat('maps', `none${hint}`)],
		['open', usersThat('open', 'none')],
		...(ring
			? ([
					['ring', `${ring.used} of ${ring.capacity} bytes used${recordsIn(ring)}`],
					['receivers', String(ring.receivers)],
				] as [string, string][])
			: []),
	];
}

export const stat = verb({
	summary: 'Show all details of one segment',
	operands: {name: one(segmentName)},
	options: {json},
	cluster: true,
	examples: [
		{purpose: 'print the processes that map the segment', line: "ipc-shm stat state --json | jq '.users[].pid'"},
	],
	run({name}, options) {
		const [status] = segmentsAt(name).look([name]);
		if (!status) {
			// Reports why the segment cannot be looked at.
			segmentsAt(name).open(name, 'read')[Symbol.dispose]();
			return failed;
		}
		if (options.json) printJson(status);
		else print(formatFields(describeSegment(status)));
		return done;
	},
});

const recordsIn = ({records}: NonNullable<SegmentStatus['ring']>): string =>
	records === null ? '' : `, ${countOf(records, 'record')}`;
