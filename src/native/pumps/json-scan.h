#ifndef IPC_JSON_SCAN_H
#define IPC_JSON_SCAN_H

#include <stddef.h>
#include <stdint.h>

/* What became of a piece of text. */
enum verdict { MORE, COMPLETE, NO_JSON, TOO_DEEP, MEMBER /* a comma of the outermost value: asked for with `tells_members` */ };

/*
 * Finds the end of a JSON array or object, in however many pieces it arrives, looking at each byte once: it is JSON up to there,
 * or the first byte that breaks JSON is found. Only UTF-8 remains to be checked. All zero before the first piece but for
 * `most_depth` and `tells_members`. RFC 8259
 */
struct json_scan {
	int32_t verdict;
	int32_t most_depth; /* how many arrays and objects may be open at once */
	int32_t tells_members;
	int32_t depth;
	int32_t state;
	int32_t string; /* where in a string the text is */
	int32_t digits; /* of an escape: how many hexadecimal ones are still expected */
	uint32_t objects[]; /* a bit for each that is open: whether it is an object */
};

/* Where the next byte is: behind the value or the comma, at the byte that is wrong, or at the limit. */
const uint8_t *json_scan(struct json_scan *scan, const uint8_t *at, const uint8_t *limit);

#endif
