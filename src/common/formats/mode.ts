import {refuse, type TextFormat} from './text-format.js';

/** Permission bits in octal, as chmod(1) takes them: `600`, `0660`. The umask applies, as in open(2). */
export const mode: TextFormat<number> = {
	placeholder: 'OCTAL',
	parse(text) {
		if (!/^[0-7]+$/.test(text)) refuse(text, 'a mode', text === '' ? 'it is empty' : 'octal digits are expected');
		const value = Number.parseInt(text, 8);
		if (value > 0o777) refuse(text, 'a mode', 'the maximum is 777');
		return value;
	},
};

export const defaultMode = 0o600;

/** `0600` */
export const octalMode = (bits: number): string => `0${(bits & 0o777).toString(8).padStart(3, '0')}`;
