/**
 * One line for all that was skipped, from the reason of each test: `skipped: 14 tests need mandoc, nc, socat; 2 tests need root`.
 * Undefined when nothing was.
 *
 * @param {readonly string[]} reasons
 * @returns {string | undefined}
 */
export function summaryOfSkipped(reasons) {
	if (reasons.length === 0) return undefined;
	/** @type {Set<string>} */
	const programs = new Set();
	/** @type {Map<string, number>} */
	const counts = new Map();
	for (const why of reasons) {
		const names = /^needs ([\w.+-]+(?:, [\w.+-]+)*)$/.exec(why)?.[1]?.split(', ');
		for (const name of names ?? []) programs.add(name);
		const key = names ? '' : why || 'without a reason';
		counts.set(key, (counts.get(key) ?? 0) + 1);
	}
	const tests = (/** @type {number} */ count) => `${count} ${count === 1 ? 'test' : 'tests'}`;
	const needed = counts.get('');
	const parts = needed
		? [`${tests(needed)} ${needed === 1 ? 'needs' : 'need'} ${[...programs].sort().join(', ')}`]
		: [];
	for (const [why, count] of counts) {
		if (why === '') continue;
		parts.push(
			why.startsWith('needs ')
				? `${tests(count)} ${count === 1 ? why : why.replace(/^needs/, 'need')}`
				: `${tests(count)}: ${why}`,
		);
	}
	return `skipped: ${parts.join('; ')}`;
}
