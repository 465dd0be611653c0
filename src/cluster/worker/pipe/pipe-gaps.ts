import {writerSubject} from '../../pipe/format.js';
import {type PipeOrder, readGone} from './pipe-order.js';
import type {PipeStream} from './pipe-stream.js';

/**
 * The messages of a pipe that others wait for. A leader that falls may take some along: their senders keep the last ones that they have
 * sent, and send them again.
 */
export class PipeGaps {
	private lastMissing = '';
	/** What a sender does not have any more, and the generation of our consumer when it said so. */
	private gone = {messages: '', generation: 0};

	constructor(
		private readonly stream: PipeStream,
		private readonly order: PipeOrder,
	) {}

	/**
	 * Asks for what was missing the last time, too. `asked`: a sender has heard it. `gone`: it does not have all of it any more. `lost`:
	 * neither has it in a later generation, in which everything that is stored has been delivered once more.
	 */
	async ask(generation: number): Promise<'nothing' | 'asked' | 'gone' | 'lost'> {
		const missing = this.order.missing();
		const firsts = missing.map(({sender, numbers: [first]}) => `${sender}:${first}`).join(' ');
		const isNew = firsts !== this.lastMissing;
		this.lastMissing = firsts;
		if (isNew) this.gone = {messages: '', generation};
		if (isNew || missing.length === 0) return 'nothing';
		// One that has not heard of it must not get more room: it keeps only the last ones that it has sent.
		const answers = await Promise.all(
			missing.map(({sender, numbers}) => this.stream.ask(writerSubject(this.stream.name, sender), numbers.join(' '))),
		);
		const heard = answers.filter((answer) => typeof answer === 'string');
		const messages = heard.flatMap(readGone).join(' ');
		if (messages !== this.gone.messages) this.gone = {messages, generation};
		if (messages !== '') return this.gone.generation === generation ? 'gone' : 'lost';
		return heard.length > 0 ? 'asked' : 'nothing';
	}
}
