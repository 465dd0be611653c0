import {duration} from '../common/duration.js';
import {choice, wholeNumber} from '../common/text-format.js';

export const type = {
	value: choice('TYPE', 'stream', 'dgram', 'seqpacket'),
	help: 'stream (default), dgram or seqpacket',
} as const;
export const backlog = {value: wholeNumber(0, 65_535), help: 'so many may wait to be accepted'} as const;
export const idle = {value: duration, help: 'after the end of stdin, such a silence is the end (status 0)'} as const;
