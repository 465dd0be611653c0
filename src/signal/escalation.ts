import {UsageError} from '../common/errors.js';
import {duration} from '../common/formats/duration.js';
import {parseSignal, signalName} from '../common/formats/signal-name.js';
import type {TextFormat} from '../common/formats/text-format.js';

/** A signal, and how long its receiver may take to end before the next one; undefined: without limit. */
export interface Step {
	signal: number;
	waitMs: number | undefined;
}

/** `TERM:5s,INT:2s,KILL` */
export const escalation: TextFormat<Step[]> = {
	placeholder: 'STEPS',
	parse(text) {
		const steps = text.split(',').map((part): Step => {
			const colon = part.indexOf(':');
			const signal = parseSignal(colon < 0 ? part : part.slice(0, colon));
			if (signal === 0) throw new UsageError(`'${part}' sends nothing: signal 0 only checks the target`);
			return {signal, waitMs: colon < 0 ? undefined : duration.parse(part.slice(colon + 1))};
		});
		const endless = steps.slice(0, -1).find(({waitMs}) => waitMs === undefined);
		if (endless) {
			const name = signalName(endless.signal);
			throw new UsageError(`'${text}' has no waiting time for ${name}: write ${name}:5s`);
		}
		return steps;
	},
};
