/*
 * At build time: compiles ES modules to bytecode. `compile FOLDER NAME…` reads FOLDER/NAME and writes FOLDER/NAME.bc; the name
 * is what other modules import it by.
 */
#include "quickjs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a module imports is not needed to compile it. */
static char *same_name(JSContext *context, const char *base, const char *name, void *opaque)
{
	(void)base, (void)opaque;
	return js_strdup(context, name);
}

static JSModuleDef *no_module(JSContext *context, const char *name, void *opaque)
{
	(void)opaque;
	return JS_NewCModule(context, name, NULL);
}

static char *read_file(const char *path, size_t *length)
{
	FILE *file = fopen(path, "rb");
	if (!file) {
		perror(path);
		exit(1);
	}
	fseek(file, 0, SEEK_END);
	*length = (size_t)ftell(file);
	rewind(file);
	char *text = malloc(*length + 1);
	if (!text || fread(text, 1, *length, file) != *length) {
		perror(path);
		exit(1);
	}
	text[*length] = 0;
	fclose(file);
	return text;
}

static void compile(JSContext *context, const char *folder, const char *name)
{
	char path[4096];
	size_t length, size;
	snprintf(path, sizeof path, "%s/%s", folder, name);
	char *text = read_file(path, &length);
	JSValue code = JS_Eval(context, text, length, name, JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY);
	if (JS_IsException(code)) {
		JSValue error = JS_GetException(context);
		fprintf(stderr, "%s: %s\n", path, JS_ToCString(context, error));
		exit(1);
	}
	uint8_t *bytes = JS_WriteObject(context, &size, code, JS_WRITE_OBJ_BYTECODE | JS_WRITE_OBJ_STRIP_SOURCE);
	/* In the place of the checksum: none. What is in the executable needs none, and to compute it takes time at every start. */
	if (bytes)
		memset(bytes + 1, 0xff, 4);
	snprintf(path, sizeof path, "%s/%s.bc", folder, name);
	FILE *file = fopen(path, "wb");
	if (!bytes || !file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) {
		perror(path);
		exit(1);
	}
	free(text);
}

int main(int argc, char **argv)
{
	for (int i = 2; i < argc; i++) {
		/* A runtime of its own for each: one that knows a module already would not compile it again. */
		JSRuntime *runtime = JS_NewRuntime();
		JSContext *context = JS_NewContext(runtime);
		JS_SetModuleLoaderFunc(runtime, same_name, no_module, NULL);
		compile(context, argv[1], argv[i]);
	}
	return argc > 2 ? 0 : 2;
}
