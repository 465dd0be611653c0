import {UsageError} from '../common/errors.js';
import {size as sizeFormat} from '../common/formats/size.js';
import {choice, type TextFormat} from '../common/formats/text-format.js';
import {wordTypes} from '../objects/segment/word.js';
import {semaphoreName} from '../objects/semaphore/semaphore.js';

/** `16`, `0x10`, `4K` */
const bytesFormat: TextFormat<number> = {
	placeholder: 'N',
	parse(text) {
		if (!/^0x[0-9a-f]+$/i.test(text)) return sizeFormat.parse(text);
		const value = Number(text);
		if (!Number.isSafeInteger(value)) throw new UsageError(`'${text}' is not a valid size: it is too large`);
		return value;
	},
};

export const offset = {value: bytesFormat, help: 'start at byte N (default 0)'} as const;
export const length = {value: bytesFormat, help: 'number of bytes'} as const;
export const size = {value: sizeFormat, help: 'size in bytes; the memory is reserved at once'} as const;

const typeHelp = 'type of the value (default i64)';
export const wordType = {value: choice('TYPE', ...wordTypes), help: `${typeHelp}: ${wordTypes.join(', ')}`} as const;
export const anyType = {
	value: choice('TYPE', ...wordTypes, 'f64', 'str', 'hex'),
	help: `${typeHelp}: ${wordTypes.join(', ')}, f64, str, hex`,
} as const;

export const lock = {
	value: {...semaphoreName, placeholder: 'SEM'},
	optionalValue: true,
	help: 'hold the lock of the segment, or a unit of semaphore SEM',
} as const;

export const json = {help: 'print JSON'} as const;
