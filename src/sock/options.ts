import {duration} from '../common/formats/duration.js';
import {formatSize, size} from '../common/formats/size.js';
import {choice, refuse, type TextFormat, wholeNumber} from '../common/formats/text-format.js';
import {mostRecordBytes} from '../common/framing/framing.js';

export const type = {
	value: choice('TYPE', 'stream', 'dgram', 'seqpacket'),
	help: 'stream (default), dgram or seqpacket',
} as const;
export const backlog = {value: wholeNumber(0, 65_535), help: 'so many may wait to be accepted'} as const;
export const idle = {value: duration, help: 'after the end of stdin, such a silence is the end (status 0)'} as const;

/** How long a message may be that is held in memory as a whole. */
export const messageSize: TextFormat<number> = {
	placeholder: size.placeholder,
	parse(text) {
		const bytes = size.parse(text);
		if (bytes === 0) refuse(text, 'a fitting size', 'nothing fits into it');
		if (bytes > mostRecordBytes) refuse(text, 'a fitting size', `the most is ${formatSize(mostRecordBytes)}`);
		return bytes;
	},
};

/** How much may be held in memory for many together. */
export const totalSize: TextFormat<number> = {
	placeholder: size.placeholder,
	parse(text) {
		const bytes = size.parse(text);
		if (bytes === 0) refuse(text, 'a fitting size', 'nothing fits into it');
		return bytes;
	},
};
