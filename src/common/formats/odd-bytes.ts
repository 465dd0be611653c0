/*
 * The small runtime keeps a byte of the command line, of a file's name or of the environment that is not a part of valid UTF-8 as half of
 * a surrogate pair, U+DC80 to U+DCFF. It becomes that byte again wherever the text goes to the kernel. On Node there are none.
 */

export const hasOddBytes = (text: string): boolean => /[\udc80-\udcff]/u.test(text);

/** For a text that is not from the kernel: there such a half does not stand for a byte. */
export const withoutOddBytes = (text: string): string => text.replace(/[\udc80-\udcff]/gu, '\ufffd');
