// From samples to verdicts.

/** The middle one; the mean of the two middle ones of an even number. */
export function median(samples) {
	const sorted = [...samples].sort((a, b) => a - b);
	const half = sorted.length >> 1;
	return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

export function judgeRow({id, title, unit, better}, contenders) {
	const judged = contenders.map(
		({name, isOurs = false, isOnNode = false, samples, missing, failure, stall, must, aim}) => ({
			name,
			isOurs,
			isOnNode,
			missing,
			failure,
			stall,
			must,
			aim,
			samples,
			...(samples.length > 0 && failure === undefined ? summarize(samples) : {}),
		}),
	);
	const ours = judged[0];
	for (const contender of judged) {
		// A peer's budget is a ratio, our own an absolute figure.
		if (!contender.isOurs && ours.median !== undefined && contender.median !== undefined)
			contender.ratio = ours.median / contender.median;
		contender.verdict = verdict(contender, better);
	}
	return {id, title, unit, better, contenders: judged};
}

const summarize = (samples) => ({median: median(samples), min: Math.min(...samples), max: Math.max(...samples)});

function verdict({isOurs, median: figure, ratio, missing, failure, must, aim}, better) {
	if (missing !== undefined) return undefined;
	if (failure !== undefined) return 'failed';
	const value = isOurs ? figure : ratio;
	const keeps = (budget) => budget !== undefined && (better === 'more' ? value >= budget : value <= budget);
	if (value === undefined || (must === undefined && aim === undefined)) return undefined;
	if (must !== undefined && !keeps(must)) return 'misses';
	return keeps(aim) ? 'aim reached' : 'ok';
}

/** Whether everything that must be was: nothing missed, nothing failed. */
export const holds = (results) =>
	results.every(({contenders}) => contenders.every(({verdict}) => verdict !== 'misses' && verdict !== 'failed'));
