// Runs one row: all its contenders, turn by turn.
import {Stalled} from './instrument.mjs';
import {judgeRow} from './judge.mjs';

/**
 * A row is data, and has as many rounds as fit into its share of the time:
 *
 *   id, title, unit
 *   better    'more' or 'less'
 *   rounds    {full, quick}
 *   prepare   optional, called once with the workshop
 *   ours      {name, measure, must, aim}: must and aim are absolute figures here, and optional
 *   onNode    {must, aim} beside the same command on Node, where the usual ones do not fit; false where it runs on Node anyway
 *   peers     [{name, measure, needs, must, aim, mayStall}]: must and aim are ours/peer, and optional; `needs` names a
 *             program, or is {name, found(workshop)} for anything else; one that `mayStall` is known to, and fails nothing
 *
 * `measure` gets the workshop and answers one figure, or a promise of it. With better: 'more' a budget is a floor, with
 * 'less' a ceiling.
 */
export async function measureRow(row, workshop, {rounds, shareMs, onRound}) {
	const startMs = Date.now();
	const contenders = [{...row.ours, isOurs: true}, ...(row.onNode === false ? [] : [onNode(row)]), ...row.peers].map(
		(contender) => ({
			...contender,
			samples: [],
			missing: missingOf(contender, workshop),
		}),
	);
	const present = contenders.filter(({missing}) => missing === undefined);
	if (present.includes(contenders[0])) row.prepare?.(workshop);
	const count = rounds ?? (workshop.quick ? row.rounds.quick : row.rounds.full);
	const least = rounds ?? (workshop.quick ? 1 : 3);
	for (let round = 0; round < count; round++) {
		// Whether another round fits, if it takes as long as those before it.
		if (round >= least && ((Date.now() - startMs) / round) * (round + 1) > shareMs) break;
		onRound(round + 1, count);
		for (let i = 0; i < present.length; i++) {
			// Another one begins each time, so that nobody always comes after the same one.
			const contender = present[(round + i) % present.length];
			if (contender.failure !== undefined || contender.stall !== undefined) continue;
			try {
				contender.samples.push(await contender.measure(workshop));
			} catch (error) {
				if (contender.mayStall && error instanceof Stalled) contender.stall = error.message;
				else contender.failure = error.message;
			}
		}
	}
	return judgeRow(row, contenders);
}

/** The executable must be no slower than the same command on Node, and where it only starts and ends, far faster. */
const onNode = ({better, ours, onNode = better === 'more' ? {must: 0.95, aim: 1} : {must: 1.05, aim: 1}}) => ({
	name: `${ours.name}, on Node`,
	isOnNode: true,
	needs: ours.needs,
	measure: (workshop) => workshop.onNode(ours.measure),
	...onNode,
});

/** The name of what a contender needs and this machine does not have. */
function missingOf({needs}, workshop) {
	if (needs === undefined) return undefined;
	const {name, found} = typeof needs === 'string' ? {name: needs, found: () => workshop.find(needs)} : needs;
	return found(workshop) ? undefined : name;
}
